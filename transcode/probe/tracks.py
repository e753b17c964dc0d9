"""Which sound and subtitles of a source are taken in, in which order, and as what: from ffprobe's streams to tracks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from transcode.ffmpeg.downmix import has_known_channel_order, stereo_downmix_filter
from transcode.presentation import AudioTrack, Role, SubtitleTrack

Stream = Mapping[str, Any]

TEXT_SUBTITLE_CODECS = frozenset({"subrip", "ass", "ssa", "mov_text", "webvtt", "text"})

# Sound that ffmpeg knows and cannot decode.
_WITHOUT_DECODER = frozenset({"unknown", "none", "ac4", "mpegh_3d_audio"})

_MAX_TITLE = 100  # characters
_MAX_NAMED = 5  # tracks that a warning names one by one

# What a stream's flags say, most telling first.
_ROLES_OF_FLAGS = (
    ("visual_impaired", Role.DESCRIPTION),
    ("descriptions", Role.DESCRIPTION),
    ("comment", Role.COMMENTARY),
    ("clean_effects", Role.EFFECTS),
    ("karaoke", Role.EFFECTS),
    ("hearing_impaired", Role.HEARING_IMPAIRED),
    ("captions", Role.HEARING_IMPAIRED),
)
# And what titles say, for few programs set the flags.
_ROLES_OF_TITLES = (
    (re.compile(r"audio ?descri|descriptive|described|audiodeskription|hörfilm|visually impaired|\bdvs\b", re.I),
     Role.DESCRIPTION),
    (re.compile(r"comment(ary|aire)|kommentar|commento|comentario", re.I), Role.COMMENTARY),
    (re.compile(r"\bsdh\b|hearing|hard of|\bhoh\b|hörgeschädigt|gehörlos|malentendant|sordos", re.I),
     Role.HEARING_IMPAIRED),
    (re.compile(r"music (and|&) effects|\bm&e\b|karaoke", re.I), Role.EFFECTS),
)  # fmt: skip

_LEFT = re.compile(r"\b(l|left|links|gauche|ch ?1|channel 1|mono 1)\b", re.I)
_RIGHT = re.compile(r"\b(r|right|rechts|droite|ch ?2|channel 2|mono 2)\b", re.I)


def read_tag(stream: Stream, name: str) -> str:
    """Return a tag of a stream, at most 100 characters of it that can be printed."""
    value = str(stream.get("tags", {}).get(name, ""))[: 10 * _MAX_TITLE]
    return "".join(letter if letter.isprintable() else " " for letter in value).strip()[:_MAX_TITLE]


def has_disposition(stream: Stream, name: str) -> bool:
    """Tell whether a stream has a disposition, as ffmpeg calls it."""
    return bool(stream.get("disposition", {}).get(name))


def programme_streams(
    streams: Sequence[Stream], programmes: Sequence[Mapping[str, Any]], picture: Stream
) -> list[Stream]:
    """Return the streams that belong to the picture: its programme's, and those of no programme at all."""
    members = [{one["index"] for one in programme.get("streams", ())} for programme in programmes]
    others = set[int]().union(*members)
    mine = set[int]().union(*(indexes for indexes in members if picture["index"] in indexes))
    return [stream for stream in streams if not mine or stream["index"] in mine or stream["index"] not in others]


def is_decodable(stream: Stream) -> bool:
    """Tell whether this is sound that ffmpeg may be able to decode, as far as its description tells."""
    return bool(stream.get("channels")) and stream.get("codec_name", "unknown") not in _WITHOUT_DECODER


def sort_audio_streams(sounds: Sequence[Stream]) -> list[Stream]:
    """Return sound streams with the main one first.

    That is the default one of those that are the film's own sound, else an original rather than a dubbed one, else
    the first. Audio description, commentary and the like come behind, whatever is marked as default.
    """
    return sorted(
        sounds,
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
    """Return what a track is for, by its flags or else by its title."""
    title = read_tag(stream, "title") or _handler(stream)
    flags = (role for name, role in _ROLES_OF_FLAGS if has_disposition(stream, name))
    titles = (role for words, role in _ROLES_OF_TITLES if words.search(title))
    return next(flags, None) or next(titles, Role.NONE)


def build_audio_tracks(sounds: Sequence[Stream], *, may_pair: bool = True) -> tuple[AudioTrack, ...]:
    """Return the tracks of sound streams, in their order; two mono streams that are left and right become one.

    Tracks whose channels are in an unknown order are there only where there is no other.
    """
    found, taken = list[AudioTrack](), set[int]()
    for stream in sounds:
        if stream["index"] in taken:
            continue
        right = find_right_channel(stream, sounds) if may_pair else None
        taken |= {stream["index"], *([right["index"]] if right else [])}
        found.append(_audio_track(stream, right))
    return tuple([track for track in found if has_known_channel_order(track)] or found[:1])


def find_right_channel(left: Stream, sounds: Sequence[Stream]) -> Stream | None:
    """Return the mono stream that is the right side of this one, None for all sound that is not one of two sides.

    Either both say so, by their layouts or titles; or they are the only sound, uncompressed and alike, as cameras
    record it.
    """
    mono = sorted((stream for stream in sounds if stream.get("channels") == 1), key=lambda stream: stream["index"])
    place = mono.index(left) if left in mono else len(mono)
    if place + 1 >= len(mono) or not _are_alike(left, mono[place + 1]):
        return None
    right = mono[place + 1]
    if _side(left) == "left" and _side(right) == "right":
        return right
    is_of_camera = len(sounds) == 2 and str(left.get("codec_name", "")).startswith("pcm_")
    return right if is_of_camera and _is_unlabelled(left) and _is_unlabelled(right) else None


def _are_alike(one: Stream, other: Stream) -> bool:
    keys = ("codec_name", "sample_rate", "start_time")
    return (
        all(one.get(key) == other.get(key) for key in keys)
        and read_tag(one, "language") == read_tag(other, "language")
        and role_of(one) == role_of(other)
    )


def _side(stream: Stream) -> str:
    """Return "left" or "right", or "" when neither layout nor title says so."""
    layout, title = str(stream.get("channel_layout", "")), read_tag(stream, "title") or _handler(stream)
    if "(FL)" in layout or "(FR)" in layout:
        return "left" if "(FL)" in layout else "right"
    if bool(_LEFT.search(title)) == bool(_RIGHT.search(title)):
        return ""
    return "left" if _LEFT.search(title) else "right"


def _is_unlabelled(stream: Stream) -> bool:
    return not read_tag(stream, "title") and not _side(stream)


def _handler(stream: Stream) -> str:
    """Return the name that a MOV has for a stream, which programs fill with their own words."""
    return read_tag(stream, "handler_name") or read_tag(stream, "name")


def _audio_track(stream: Stream, right: Stream | None) -> AudioTrack:
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
    """Return the filter that mixes a sound stream to two channels."""
    return stereo_downmix_filter(_audio_track(stream, None))


def build_subtitle_track(stream: Stream) -> SubtitleTrack:
    """Return the track of a subtitle stream."""
    title = read_tag(stream, "title")
    forced = has_disposition(stream, "forced") or bool(re.search(r"\bforced\b", title, re.I))
    return SubtitleTrack(stream["index"], read_tag(stream, "language"), title, forced, role_of(stream))


def describe_omissions(streams: Sequence[Stream], sounds: Sequence[Stream], unheard: Collection[int]) -> list[str]:
    """Return sentences on what is left out of these streams; `sounds` are those that are decodable."""
    heard = {index for track in build_audio_tracks(sounds) for index in track.indexes}
    audio = [stream for stream in streams if stream.get("codec_type") == "audio"]
    lost = [stream for stream in audio if stream["index"] in unheard or not is_decodable(stream)]
    jumbled = [stream for stream in sounds if stream["index"] not in heard]
    subtitles = [stream for stream in streams if stream.get("codec_type") == "subtitle"]
    silent = [stream for stream in subtitles if stream.get("codec_name") not in TEXT_SUBTITLE_CODECS]
    found = [_of_lost(lost, is_silent=not sounds)] if lost else []
    if jumbled:
        found.append(f"Sound was left out because the order of its channels is unknown: {_listed(jumbled)}.")
    elif sounds and not has_known_channel_order(only := _audio_track(sort_audio_streams(sounds)[0], None)):
        found.append(f"The order of the {only.channels} channels of sound is unknown: all are heard on both sides.")
    if silent:
        found.append(f"Subtitles that are not stored as text were left out: {_listed(silent)}.")
    return found


def _of_lost(lost: Sequence[Stream], *, is_silent: bool) -> str:
    if is_silent:
        return f"The film is silent, because its sound cannot be decoded: {_listed(lost)}."
    return f"Sound that cannot be decoded was left out: {_listed(lost)}."


def _listed(streams: Sequence[Stream]) -> str:
    """Return the languages, titles and codecs of some streams, for people."""
    named = [_named(stream) for stream in streams[:_MAX_NAMED]]
    more = [f"{len(streams) - _MAX_NAMED} more"] if len(streams) > _MAX_NAMED else []
    return ", ".join([*named, *more])


def _named(stream: Stream) -> str:
    words = [read_tag(stream, "title") or read_tag(stream, "language"), str(stream.get("codec_name", "unknown"))]
    count = [f"{stream['channels']} channels"] if int(stream.get("channels") or 0) > 8 else []
    name, *rest = [word for word in (*words, *count) if word]
    return f"{name} ({', '.join(rest)})" if rest else name
