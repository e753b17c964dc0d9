"""Playlists as RFC 8216 and Apple's HLS authoring specification want them; text in, no files touched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcode.ffmpeg import audio_filters
from transcode.grid import Grid, nearest_integer
from transcode.hls import languages
from transcode.hls.bandwidth import ZERO_RATES, Rates
from transcode.ladder import Rendition
from transcode.paths import IFRAME_PLAYLIST, MEDIA_PLAYLIST, audio_folder_name, segment_name, subtitle_folder_name
from transcode.presentation import AudioTrack, Presentation, Role, SubtitleTrack

_SEGMENT_PATTERN = re.compile(r"^#EXTINF:([\d.]+),.*\n(.+)$", re.MULTILINE)
_IFRAME_PATTERN = re.compile(r"^#EXT-X-BYTERANGE:(\d+)@0$", re.MULTILINE)
_STREAM = re.compile(rf"^#EXT-X-STREAM-INF:BANDWIDTH=(\d+),.*\n([^/\n]+)/{re.escape(MEDIA_PLAYLIST)}$", re.MULTILINE)
_PLAYLIST_VERSION = 6
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
class VariantRates:
    """Rates of one rendition, and of its I-frame playlist, None while there is none."""

    stream: Rates
    iframes: Rates | None = None


@dataclass(frozen=True, slots=True)
class AlternateMedia:
    """What is published beside the renditions, by the numbers of `layout`; `sound`: rates of the largest track."""

    audio: tuple[int, ...] = ()
    subtitles: tuple[int, ...] = ()
    audio_rates: Rates = ZERO_RATES


NO_ALTERNATE_MEDIA = AlternateMedia()


def media_playlist(grid: Grid) -> str:
    """All segments of a rendition, whether they are encoded yet or not."""
    lengths = [grid.segment_duration(number) for number in range(grid.segment_count)]
    return _render_media_playlist(lengths, grid.target_duration, segment_name, "#EXT-X-INDEPENDENT-SEGMENTS")


def track_playlist(durations: Sequence[Fraction], target_duration: int, name_segment: Callable[[int], str]) -> str:
    """The pieces of a sound track or of subtitles, of these many seconds; `target` is that of the renditions."""
    return _render_media_playlist(
        durations, max(target_duration, *(nearest_integer(length) for length in durations)), name_segment
    )


def _render_media_playlist(
    durations: Sequence[Fraction], target_duration: int, name_segment: Callable[[int], str], *tags: str
) -> str:
    lines = [*_header_lines(target_duration), *tags]
    for number, length in enumerate(durations):
        lines += [f"#EXTINF:{float(length):.6f},", name_segment(number)]
    return _join_lines([*lines, "#EXT-X-ENDLIST"])


def iframe_playlist(grid: Grid, iframes: Sequence[IFrame]) -> str:
    """One picture per segment, for scrubbing. A player reads the first bytes of a segment and shows the picture."""
    lines = [*_header_lines(grid.target_duration), "#EXT-X-I-FRAMES-ONLY"]
    for iframe in iframes:
        lines += [
            f"#EXTINF:{float(grid.segment_duration(iframe.segment)):.6f},",
            f"#EXT-X-BYTERANGE:{iframe.size}@0",
            segment_name(iframe.segment),
        ]
    return _join_lines([*lines, "#EXT-X-ENDLIST"])


def master_playlist(
    presentation: Presentation,
    renditions: Mapping[str, VariantRates],
    alternate_media: AlternateMedia = NO_ALTERNATE_MEDIA,
) -> str:
    """The adaptive playlist."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_PLAYLIST_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [*_audio_media_tags(presentation, alternate_media), *_subtitle_media_tags(presentation, alternate_media)]
    for rendition in presentation.renditions:
        attributes = _stream_attributes(presentation, rendition, renditions[rendition.name].stream, alternate_media)
        lines += [
            f"#EXT-X-STREAM-INF:{attributes}",
            f"{rendition.name}/{MEDIA_PLAYLIST}",
        ]
    for rendition in presentation.renditions:
        if rates := renditions[rendition.name].iframes:
            described = _variant_attributes(rendition, rates, [rendition.codec])
            lines.append(f'#EXT-X-I-FRAME-STREAM-INF:{described},URI="{rendition.name}/{IFRAME_PLAYLIST}"')
    return _join_lines(lines)


def parse_segments(playlist: str) -> dict[str, Fraction]:
    """Names and seconds of the pieces of a media playlist, in their order."""
    return {name: Fraction(length) for length, name in _SEGMENT_PATTERN.findall(playlist)}


def parse_iframes(playlist: str) -> dict[int, int]:
    """Bytes of the I-frame of each segment in an I-frame playlist."""
    return {number: int(size) for number, size in enumerate(_IFRAME_PATTERN.findall(playlist))}


def parse_bandwidths(master: str) -> dict[str, int]:
    """Return the BANDWIDTH of each rendition in one of our master playlists, by the rendition's name."""
    return {name: int(peak) for peak, name in _STREAM.findall(master)}


def track_names(tracks: Sequence[AudioTrack | SubtitleTrack], default_name: str) -> list[str]:
    """What people read, no name twice: the track's own title, else its language and what it is for, else `word`.

    Names that would be there twice are told apart by what the tracks are for, and then by numbers.
    """
    names: list[str] = []
    for number, track in enumerate(tracks, 1):
        title = " ".join(track.title.replace('"', "'").split())
        purposes = "".join(f" ({purpose})" for purpose in _purposes(track))
        name = title or (languages.name(track.language) or f"{default_name} {number}") + purposes
        if title and name in names:
            name = title + purposes
        again = (f"{name} {count}" for count in itertools.count(2))
        names.append(name if name not in names else next(one for one in again if one not in names))
    return names


def _purposes(track: AudioTrack | SubtitleTrack) -> list[str]:
    if isinstance(track, AudioTrack):
        return [_PURPOSES_OF_SOUND[track.role]] if track.role else []
    return [*([_PURPOSES_OF_TEXT[track.role]] if track.role else []), *(["forced"] if track.forced else [])]


def _audio_media_tags(presentation: Presentation, alternate_media: AlternateMedia) -> list[str]:
    """The group of sound tracks: the one in the renditions, which has no URI, and those with folders of their own."""
    if not alternate_media.audio:
        return []
    names, heard, lines = track_names(presentation.audio, "Audio"), set[tuple[str, str]](), []
    for number in (0, *alternate_media.audio):
        track = presentation.audio[number]
        language, meant = languages.tag(track.language), _CHARACTERISTICS_OF_SOUND.get(track.role, "")
        # Players choose by these two, so only the first of each may be chosen unasked (RFC 8216, 4.3.4.1.1), and what
        # is no ordinary sound and has no characteristic that one can ask for never is.
        is_chosen = (language, meant) not in heard and (number == 0 or track.role not in _ONLY_BY_HAND)
        heard.add((language, meant))
        fields = {"DEFAULT": _yes_or_no(number == 0), "AUTOSELECT": _yes_or_no(is_chosen), **_characteristics(meant)}
        uri = f"{audio_folder_name(number)}/{MEDIA_PLAYLIST}" if number else ""
        lines.append(_media_tag("AUDIO", _AUDIO_GROUP, names[number], language, {**fields, "CHANNELS": '"2"'}, uri))
    return lines


def _subtitle_media_tags(presentation: Presentation, alternate_media: AlternateMedia) -> list[str]:
    names, seen, lines = track_names(presentation.subtitles, "Subtitles"), set[tuple[str, bool, str]](), []
    for number in alternate_media.subtitles:
        track = presentation.subtitles[number - 1]
        language, meant = languages.tag(track.language), _CHARACTERISTICS_OF_TEXT.get(track.role, "")
        automatic = (language, track.forced, meant) not in seen and track.role not in _ONLY_BY_HAND
        seen.add((language, track.forced, meant))
        chosen = {"DEFAULT": "NO", "AUTOSELECT": _yes_or_no(automatic), "FORCED": _yes_or_no(track.forced)}
        uri = f"{subtitle_folder_name(number)}/{MEDIA_PLAYLIST}"
        fields = {**chosen, **_characteristics(meant)}
        lines.append(_media_tag("SUBTITLES", _SUBTITLE_GROUP, names[number - 1], language, fields, uri))
    return lines


def _characteristics(meant: str) -> dict[str, str]:
    return {"CHARACTERISTICS": f'"{meant}"'} if meant else {}


def _media_tag(kind: str, group: str, name: str, language: str, attributes: Mapping[str, str], uri: str) -> str:
    fields = {"TYPE": kind, "GROUP-ID": f'"{group}"', "NAME": f'"{name}"'}
    fields |= {"LANGUAGE": f'"{language}"'} if language else {}
    fields |= {**attributes, **({"URI": f'"{uri}"'} if uri else {})}
    return "#EXT-X-MEDIA:" + ",".join(f"{key}={value}" for key, value in fields.items())


def _yes_or_no(value: bool) -> str:
    return "YES" if value else "NO"


def _header_lines(target_duration: int) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_PLAYLIST_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]


def _stream_attributes(
    presentation: Presentation, rendition: Rendition, rates: Rates, alternate_media: AlternateMedia
) -> str:
    """A viewer of another sound track loads it beside the muxed one, so both count."""
    loaded = Rates(rates.peak + alternate_media.audio_rates.peak, rates.average + alternate_media.audio_rates.average)
    codecs = [rendition.codec, *([audio_filters.CODEC] if presentation.audio else [])]
    groups = [f'AUDIO="{_AUDIO_GROUP}"'] if alternate_media.audio else []
    groups += [f'SUBTITLES="{_SUBTITLE_GROUP}"'] if alternate_media.subtitles else []
    rate = f"FRAME-RATE={float(presentation.grid.fps):.3f}"
    return ",".join([_variant_attributes(rendition, loaded, codecs), rate, *groups])


def _variant_attributes(rendition: Rendition, rates: Rates, codecs: Sequence[str]) -> str:
    return (
        f'BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},CODECS="{",".join(codecs)}",'
        f"RESOLUTION={rendition.width}x{rendition.height}"
    )


def _join_lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
