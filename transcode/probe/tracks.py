"""Selection of audio and subtitles: which of ffprobe's streams become tracks, in which order, and with which labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from transcode.ffmpeg.downmix import has_known_channel_order, stereo_downmix_filter
from transcode.presentation import AudioTrack, Role, SubtitleTrack

Stream = Mapping[str, Any]

TEXT_SUBTITLE_CODECS = frozenset({"subrip", "ass", "ssa", "mov_text", "webvtt", "text"})

# Audio that ffmpeg detects and cannot decode.
_CODECS_WITHOUT_DECODER = frozenset({"unknown", "none", "ac4", "mpegh_3d_audio"})

_MAX_TAG_CHARACTERS = 100
_MAX_LISTED_STREAMS = 5  # that a warning lists one by one

# Dispositions that indicate a role, the most specific first.
_ROLE_BY_DISPOSITION = (
    ("visual_impaired", Role.DESCRIPTION),
    ("descriptions", Role.DESCRIPTION),
    ("comment", Role.COMMENTARY),
    ("clean_effects", Role.EFFECTS),
    ("karaoke", Role.EFFECTS),
    ("hearing_impaired", Role.HEARING_IMPAIRED),
    ("captions", Role.HEARING_IMPAIRED),
)
# Titles that indicate a role, because few programs set dispositions.
_ROLE_BY_TITLE = (
    (re.compile(r"audio ?descri|descriptive|described|audiodeskription|hörfilm|visually impaired|\bdvs\b", re.I),
     Role.DESCRIPTION),
    (re.compile(r"comment(ary|aire)|kommentar|commento|comentario", re.I), Role.COMMENTARY),
    (re.compile(r"\bsdh\b|hearing|hard of|\bhoh\b|hörgeschädigt|gehörlos|malentendant|sordos", re.I),
     Role.HEARING_IMPAIRED),
    (re.compile(r"music (and|&) effects|\bm&e\b|karaoke", re.I), Role.EFFECTS),
)  # fmt: skip

_LEFT_TITLE = re.compile(r"\b(l|left|links|gauche|ch ?1|channel 1|mono 1)\b", re.I)
_RIGHT_TITLE = re.compile(r"\b(r|right|rechts|droite|ch ?2|channel 2|mono 2)\b", re.I)


def read_tag(stream: Stream, name: str) -> str:
    """Return a tag of a stream, limited to 100 printable characters."""
    value = str(stream.get("tags", {}).get(name, ""))[: 10 * _MAX_TAG_CHARACTERS]
    printable = "".join(character if character.isprintable() else " " for character in value)
    return printable.strip()[:_MAX_TAG_CHARACTERS]


def has_disposition(stream: Stream, name: str) -> bool:
    """Return whether a stream has a disposition, as ffmpeg names it."""
    return bool(stream.get("disposition", {}).get(name))


def programme_streams(
    streams: Sequence[Stream], programmes: Sequence[Mapping[str, Any]], video_stream: Stream
) -> list[Stream]:
    """Return the streams of the video stream's programme, and those that belong to no programme."""
    members = [{stream["index"] for stream in programme.get("streams", ())} for programme in programmes]
    in_any = set[int]().union(*members)
    in_same = set[int]().union(*(indexes for indexes in members if video_stream["index"] in indexes))
    return [stream for stream in streams if not in_same or stream["index"] in in_same or stream["index"] not in in_any]


def is_decodable(stream: Stream) -> bool:
    """Return whether this is audio that ffmpeg may be able to decode, as far as its description shows."""
    return bool(stream.get("channels")) and stream.get("codec_name", "unknown") not in _CODECS_WITHOUT_DECODER


def sort_audio_streams(streams: Sequence[Stream]) -> list[Stream]:
    """Return audio streams with the main one first.

    That is the default among those that are the video's own audio, else an original rather than a dubbed one, else the
    first. Audio description, commentary and the like follow, even if they are marked as default.
    """
    return sorted(
        streams,
        key=lambda stream: (
            role_of(stream) not in (Role.NONE, Role.HEARING_IMPAIRED),
            role_of(stream) != Role.NONE,
            not has_disposition(stream, "default"),
            has_disposition(stream, "dub"),
            not has_disposition(stream, "original"),
            stream["index"],
        ),
    )


def role_of(stream: Stream) -> Role:
    """Return the role of a track by its dispositions or else by its title."""
    title = read_tag(stream, "title") or _handler_name(stream)
    by_disposition = (role for name, role in _ROLE_BY_DISPOSITION if has_disposition(stream, name))
    by_title = (role for pattern, role in _ROLE_BY_TITLE if pattern.search(title))
    return next(by_disposition, None) or next(by_title, Role.NONE)


def build_audio_tracks(streams: Sequence[Stream], *, may_pair: bool = True) -> tuple[AudioTrack, ...]:
    """Return the tracks of audio streams in their order; a left and a right mono stream become one track.

    Tracks with an unknown channel order are left out, unless there is no other: then the first one is returned.
    """
    audio_tracks, used = list[AudioTrack](), set[int]()
    for stream in streams:
        if stream["index"] in used:
            continue
        right = find_right_channel(stream, streams) if may_pair else None
        used |= {stream["index"], *([right["index"]] if right else [])}
        audio_tracks.append(_build_audio_track(stream, right))
    return tuple([track for track in audio_tracks if has_known_channel_order(track)] or audio_tracks[:1])


def find_right_channel(left: Stream, streams: Sequence[Stream]) -> Stream | None:
    """Return the mono stream that is the right channel to this left one, or None if it is not half of a pair.

    Two streams are a pair if their layouts or titles say so, or if they are the only audio, uncompressed and alike, as
    cameras record it.
    """
    mono = sorted((stream for stream in streams if stream.get("channels") == 1), key=lambda stream: stream["index"])
    position = mono.index(left) if left in mono else len(mono)
    if position + 1 >= len(mono) or not _are_alike(left, mono[position + 1]):
        return None
    right = mono[position + 1]
    if _side(left) == "left" and _side(right) == "right":
        return right
    is_from_camera = len(streams) == 2 and str(left.get("codec_name", "")).startswith("pcm_")
    return right if is_from_camera and _is_unlabelled(left) and _is_unlabelled(right) else None


def _are_alike(first: Stream, second: Stream) -> bool:
    keys = ("codec_name", "sample_rate", "start_time")
    return (
        all(first.get(key) == second.get(key) for key in keys)
        and read_tag(first, "language") == read_tag(second, "language")
        and role_of(first) == role_of(second)
    )


def _side(stream: Stream) -> str:
    """Return "left" or "right", or "" if neither layout nor title says so."""
    layout, title = str(stream.get("channel_layout", "")), read_tag(stream, "title") or _handler_name(stream)
    if "(FL)" in layout or "(FR)" in layout:
        return "left" if "(FL)" in layout else "right"
    if bool(_LEFT_TITLE.search(title)) == bool(_RIGHT_TITLE.search(title)):
        return ""
    return "left" if _LEFT_TITLE.search(title) else "right"


def _is_unlabelled(stream: Stream) -> bool:
    return not read_tag(stream, "title") and not _side(stream)


def _handler_name(stream: Stream) -> str:
    """Return the name of a stream in a MOV, which programs fill with text of their own."""
    return read_tag(stream, "handler_name") or read_tag(stream, "name")


def _build_audio_track(stream: Stream, right: Stream | None) -> AudioTrack:
    return AudioTrack(
        index=stream["index"],
        channels=2 if right else int(stream["channels"]),
        language=read_tag(stream, "language"),
        title="" if right else read_tag(stream, "title"),
        layout="" if right else str(stream.get("channel_layout", "")),
        role=role_of(stream),
        right_index=right["index"] if right else None,
    )


def stream_downmix_filter(stream: Stream) -> str:
    """Return the filter that mixes an audio stream to two channels."""
    return stereo_downmix_filter(_build_audio_track(stream, None))


def build_subtitle_track(stream: Stream) -> SubtitleTrack:
    """Return the track of a subtitle stream."""
    title = read_tag(stream, "title")
    is_forced = has_disposition(stream, "forced") or bool(re.search(r"\bforced\b", title, re.I))
    return SubtitleTrack(stream["index"], read_tag(stream, "language"), title, is_forced, role_of(stream))


def describe_omissions(
    streams: Sequence[Stream], decodable_audio: Sequence[Stream], undecodable_indexes: Collection[int]
) -> list[str]:
    """Return sentences for the owner about which of these streams are left out."""
    published = {index for track in build_audio_tracks(decodable_audio) for index in track.indexes}
    audio = [stream for stream in streams if stream.get("codec_type") == "audio"]
    undecodable = [stream for stream in audio if stream["index"] in undecodable_indexes or not is_decodable(stream)]
    unordered = [stream for stream in decodable_audio if stream["index"] not in published]
    subtitles = [stream for stream in streams if stream.get("codec_type") == "subtitle"]
    bitmap_subtitles = [stream for stream in subtitles if stream.get("codec_name") not in TEXT_SUBTITLE_CODECS]
    sentences = [_describe_undecodable(undecodable, is_silent=not decodable_audio)] if undecodable else []
    if unordered:
        sentences.append(f"Audio was left out because the order of its channels is unknown: {_list(unordered)}.")
    elif decodable_audio and not has_known_channel_order(
        main := _build_audio_track(sort_audio_streams(decodable_audio)[0], None)
    ):
        sentences.append(f"The order of the {main.channels} audio channels is unknown: all are heard on both sides.")
    if bitmap_subtitles:
        sentences.append(f"Subtitles that are not stored as text were left out: {_list(bitmap_subtitles)}.")
    return sentences


def _describe_undecodable(streams: Sequence[Stream], *, is_silent: bool) -> str:
    if is_silent:
        return f"The video is silent because its audio cannot be decoded: {_list(streams)}."
    return f"Audio that cannot be decoded was left out: {_list(streams)}."


def _list(streams: Sequence[Stream]) -> str:
    """Return the languages, titles and codecs of streams as text for people."""
    descriptions = [_describe(stream) for stream in streams[:_MAX_LISTED_STREAMS]]
    more = [f"{len(streams) - _MAX_LISTED_STREAMS} more"] if len(streams) > _MAX_LISTED_STREAMS else []
    return ", ".join([*descriptions, *more])


def _describe(stream: Stream) -> str:
    labels = [read_tag(stream, "title") or read_tag(stream, "language"), str(stream.get("codec_name", "unknown"))]
    channels = [f"{stream['channels']} channels"] if int(stream.get("channels") or 0) > 8 else []
    name, *rest = [label for label in (*labels, *channels) if label]
    return f"{name} ({', '.join(rest)})" if rest else name
