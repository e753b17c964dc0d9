"""Playlists as RFC 8216 and Apple's HLS authoring specification want them; text in, no files touched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcode.grid import Grid, nearest_integer
from transcode.hls import languages
from transcode.hls.bandwidth import SILENT, Rates
from transcode.ladder import Rendition
from transcode.layout import IFRAME_PLAYLIST, MEDIA_PLAYLIST, audio_track, segment_name, subtitle_track
from transcode.plans import sound
from transcode.timeline import AudioTrack, Role, SubtitleTrack, Timeline

_PIECE = re.compile(r"^#EXTINF:([\d.]+),.*\n(.+)$", re.MULTILINE)
_IFRAME = re.compile(r"^#EXT-X-BYTERANGE:(\d+)@0$", re.MULTILINE)
_STREAM = re.compile(rf"^#EXT-X-STREAM-INF:BANDWIDTH=(\d+),.*\n([^/\n]+)/{re.escape(MEDIA_PLAYLIST)}$", re.MULTILINE)
_VERSION = 6
_AUDIO_GROUP, _SUBTITLE_GROUP = "audio", "subs"

# What stands behind a track's language in its name.
_PURPOSES_OF_SOUND: Mapping[str, str] = {
    Role.DESCRIPTION: "audio description",
    Role.COMMENTARY: "commentary",
    Role.HEARING_IMPAIRED: "for the hard of hearing",
    Role.EFFECTS: "music and effects",
}
_PURPOSES_OF_TEXT: Mapping[str, str] = {
    Role.DESCRIPTION: "description",
    Role.COMMENTARY: "commentary",
    Role.HEARING_IMPAIRED: "SDH",
    Role.EFFECTS: "karaoke",
}
# Uniform type identifiers of RFC 8216, 4.3.4.1, and of Apple's authoring specification.
_CHARACTERISTICS_OF_SOUND: Mapping[str, str] = {Role.DESCRIPTION: "public.accessibility.describes-video"}
_CHARACTERISTICS_OF_TEXT: Mapping[str, str] = {
    Role.HEARING_IMPAIRED: (
        "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"
    ),
}
_ONLY_BY_HAND = frozenset({Role.COMMENTARY, Role.EFFECTS})


@dataclass(frozen=True, slots=True)
class IFrame:
    """Where the I-frame of a segment ends, in bytes from the segment's beginning."""

    segment: int
    size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Rates of one rendition, and of its I-frame playlist, None while there is none."""

    stream: Rates
    iframes: Rates | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What is published beside the renditions, by the numbers of `layout`; `sound`: rates of the largest track."""

    audio: tuple[int, ...] = ()
    subtitles: tuple[int, ...] = ()
    sound: Rates = SILENT


NOTHING = Beside()


def media_playlist(grid: Grid) -> str:
    """All segments of a rendition, whether they are encoded yet or not."""
    lengths = [grid.length(number) for number in range(grid.segments)]
    return _pieces(lengths, grid.target, segment_name, "#EXT-X-INDEPENDENT-SEGMENTS")


def track_playlist(lengths: Sequence[Fraction], target: int, name: Callable[[int], str]) -> str:
    """The pieces of a sound track or of subtitles, of these many seconds; `target` is that of the renditions."""
    return _pieces(lengths, max(target, *(nearest_integer(length) for length in lengths)), name)


def _pieces(lengths: Sequence[Fraction], target: int, name: Callable[[int], str], *tags: str) -> str:
    lines = [*_head(target), *tags]
    for number, length in enumerate(lengths):
        lines += [f"#EXTINF:{float(length):.6f},", name(number)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def iframe_playlist(grid: Grid, iframes: Sequence[IFrame]) -> str:
    """One picture per segment, for scrubbing. A player reads the first bytes of a segment and shows the picture."""
    lines = [*_head(grid.target), "#EXT-X-I-FRAMES-ONLY"]
    for iframe in iframes:
        lines += [
            f"#EXTINF:{float(grid.length(iframe.segment)):.6f},",
            f"#EXT-X-BYTERANGE:{iframe.size}@0",
            segment_name(iframe.segment),
        ]
    return _text([*lines, "#EXT-X-ENDLIST"])


def master_playlist(timeline: Timeline, renditions: Mapping[str, Listed], beside: Beside = NOTHING) -> str:
    """The adaptive playlist."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [*_sounds(timeline, beside), *_subtitles(timeline, beside)]
    for rendition in timeline.renditions:
        lines += [
            f"#EXT-X-STREAM-INF:{_stream(timeline, rendition, renditions[rendition.name].stream, beside)}",
            f"{rendition.name}/{MEDIA_PLAYLIST}",
        ]
    for rendition in timeline.renditions:
        if rates := renditions[rendition.name].iframes:
            described = _described(rendition, rates, [rendition.codec])
            lines.append(f'#EXT-X-I-FRAME-STREAM-INF:{described},URI="{rendition.name}/{IFRAME_PLAYLIST}"')
    return _text(lines)


def listed(playlist: str) -> dict[str, Fraction]:
    """Names and seconds of the pieces of a media playlist, in their order."""
    return {name: Fraction(length) for length, name in _PIECE.findall(playlist)}


def listed_iframes(playlist: str) -> dict[int, int]:
    """Bytes of the I-frame of each segment in an I-frame playlist."""
    return {number: int(size) for number, size in enumerate(_IFRAME.findall(playlist))}


def listed_peaks(master: str) -> dict[str, int]:
    """Return the BANDWIDTH of each rendition in one of our master playlists, by the rendition's name."""
    return {name: int(peak) for peak, name in _STREAM.findall(master)}


def track_names(tracks: Sequence[AudioTrack | SubtitleTrack], word: str) -> list[str]:
    """What people read, no name twice: the track's own title, else its language and what it is for, else `word`.

    Names that would be there twice are told apart by what the tracks are for, and then by numbers.
    """
    names: list[str] = []
    for number, track in enumerate(tracks, 1):
        title = " ".join(track.title.replace('"', "'").split())
        purposes = "".join(f" ({purpose})" for purpose in _purposes(track))
        name = title or (languages.name(track.language) or f"{word} {number}") + purposes
        if title and name in names:
            name = title + purposes
        again = (f"{name} {count}" for count in itertools.count(2))
        names.append(name if name not in names else next(one for one in again if one not in names))
    return names


def _purposes(track: AudioTrack | SubtitleTrack) -> list[str]:
    if isinstance(track, AudioTrack):
        return [_PURPOSES_OF_SOUND[track.role]] if track.role else []
    return [*([_PURPOSES_OF_TEXT[track.role]] if track.role else []), *(["forced"] if track.forced else [])]


def _sounds(timeline: Timeline, beside: Beside) -> list[str]:
    """The group of sound tracks: the one in the renditions, which has no URI, and those with folders of their own."""
    if not beside.audio:
        return []
    names, heard, lines = track_names(timeline.audio, "Audio"), set[tuple[str, str]](), []
    for number in (0, *beside.audio):
        track = timeline.audio[number]
        language, meant = languages.tag(track.language), _CHARACTERISTICS_OF_SOUND.get(track.role, "")
        # Players choose by these two, so only the first of each may be chosen unasked (RFC 8216, 4.3.4.1.1), and what
        # is no ordinary sound and has no characteristic that one can ask for never is.
        is_chosen = (language, meant) not in heard and (number == 0 or track.role not in _ONLY_BY_HAND)
        heard.add((language, meant))
        fields = {"DEFAULT": _yes(number == 0), "AUTOSELECT": _yes(is_chosen), **_characteristics(meant)}
        uri = f"{audio_track(number)}/{MEDIA_PLAYLIST}" if number else ""
        lines.append(_media("AUDIO", _AUDIO_GROUP, names[number], language, {**fields, "CHANNELS": '"2"'}, uri))
    return lines


def _subtitles(timeline: Timeline, beside: Beside) -> list[str]:
    names, seen, lines = track_names(timeline.subtitles, "Subtitles"), set[tuple[str, bool, str]](), []
    for number in beside.subtitles:
        track = timeline.subtitles[number - 1]
        language, meant = languages.tag(track.language), _CHARACTERISTICS_OF_TEXT.get(track.role, "")
        automatic = (language, track.forced, meant) not in seen and track.role not in _ONLY_BY_HAND
        seen.add((language, track.forced, meant))
        chosen = {"DEFAULT": "NO", "AUTOSELECT": _yes(automatic), "FORCED": _yes(track.forced)}
        uri = f"{subtitle_track(number)}/{MEDIA_PLAYLIST}"
        fields = {**chosen, **_characteristics(meant)}
        lines.append(_media("SUBTITLES", _SUBTITLE_GROUP, names[number - 1], language, fields, uri))
    return lines


def _characteristics(meant: str) -> dict[str, str]:
    return {"CHARACTERISTICS": f'"{meant}"'} if meant else {}


def _media(kind: str, group: str, name: str, language: str, more: Mapping[str, str], uri: str) -> str:
    fields = {"TYPE": kind, "GROUP-ID": f'"{group}"', "NAME": f'"{name}"'}
    fields |= {"LANGUAGE": f'"{language}"'} if language else {}
    fields |= {**more, **({"URI": f'"{uri}"'} if uri else {})}
    return "#EXT-X-MEDIA:" + ",".join(f"{key}={value}" for key, value in fields.items())


def _yes(true: bool) -> str:
    return "YES" if true else "NO"


def _head(target: int) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]


def _stream(timeline: Timeline, rendition: Rendition, rates: Rates, beside: Beside) -> str:
    """A viewer of another sound track loads it beside the muxed one, so both count."""
    loaded = Rates(rates.peak + beside.sound.peak, rates.average + beside.sound.average)
    codecs = [rendition.codec, *([sound.CODEC] if timeline.audio else [])]
    groups = [f'AUDIO="{_AUDIO_GROUP}"'] if beside.audio else []
    groups += [f'SUBTITLES="{_SUBTITLE_GROUP}"'] if beside.subtitles else []
    rate = f"FRAME-RATE={float(timeline.grid.fps):.3f}"
    return ",".join([_described(rendition, loaded, codecs), rate, *groups])


def _described(rendition: Rendition, rates: Rates, codecs: Sequence[str]) -> str:
    return (
        f'BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},CODECS="{",".join(codecs)}",'
        f"RESOLUTION={rendition.width}x{rendition.height}"
    )


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
