"""Write and parse playlists according to RFC 8216 and Apple's HLS authoring specification. Touches no files."""

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
_VARIANT_PATTERN = re.compile(
    rf"^#EXT-X-STREAM-INF:BANDWIDTH=(\d+),.*\n([^/\n]+)/{re.escape(MEDIA_PLAYLIST)}$", re.MULTILINE
)
_PLAYLIST_VERSION = 6
_AUDIO_GROUP, _SUBTITLE_GROUP = "audio", "subs"

# Appended to the language in a track's name.
_AUDIO_PURPOSES: Mapping[str, str] = {
    Role.DESCRIPTION: "audio description",
    Role.COMMENTARY: "commentary",
    Role.HEARING_IMPAIRED: "for the hard of hearing",
    Role.EFFECTS: "music and effects",
}
_SUBTITLE_PURPOSES: Mapping[str, str] = {
    Role.DESCRIPTION: "description",
    Role.COMMENTARY: "commentary",
    Role.HEARING_IMPAIRED: "SDH",
    Role.EFFECTS: "karaoke",
}
# Uniform type identifiers of RFC 8216, 4.3.4.1, and of Apple's authoring specification.
_AUDIO_CHARACTERISTICS: Mapping[str, str] = {Role.DESCRIPTION: "public.accessibility.describes-video"}
_SUBTITLE_CHARACTERISTICS: Mapping[str, str] = {
    Role.HEARING_IMPAIRED: (
        "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"
    ),
}
# No characteristic stands for these roles, so players must not select such a track by themselves.
_MANUAL_ROLES = frozenset({Role.COMMENTARY, Role.EFFECTS})


@dataclass(frozen=True, slots=True)
class IFrame:
    """The I-frame at the beginning of a segment; `size` is in bytes."""

    segment: int
    size: int


@dataclass(frozen=True, slots=True)
class VariantRates:
    """Bit rates of a rendition and of its I-frame playlist, None while there is none."""

    stream: Rates
    iframes: Rates | None = None


@dataclass(frozen=True, slots=True)
class AlternateMedia:
    """Numbers of the published tracks with folders of their own; `audio_rates` are those of the largest audio track."""

    audio: tuple[int, ...] = ()
    subtitles: tuple[int, ...] = ()
    audio_rates: Rates = ZERO_RATES


NO_ALTERNATE_MEDIA = AlternateMedia()


def media_playlist(grid: Grid) -> str:
    """Return the playlist of a rendition. It lists all segments, whether they are encoded yet or not."""
    durations = [grid.segment_duration(number) for number in range(grid.segment_count)]
    return _render_media_playlist(durations, grid.target_duration, segment_name, "#EXT-X-INDEPENDENT-SEGMENTS")


def track_playlist(durations: Sequence[Fraction], target_duration: int, name_segment: Callable[[int], str]) -> str:
    """Return the playlist of an audio track or of subtitles, given the durations of its segments in seconds.

    Its target duration is that of the renditions, or larger if a segment is longer (RFC 8216, 4.3.3.1).
    """
    longest = max(nearest_integer(duration) for duration in durations)
    return _render_media_playlist(durations, max(target_duration, longest), name_segment)


def _render_media_playlist(
    durations: Sequence[Fraction], target_duration: int, name_segment: Callable[[int], str], *tags: str
) -> str:
    lines = [*_header_lines(target_duration), *tags]
    for number, duration in enumerate(durations):
        lines += [f"#EXTINF:{float(duration):.6f},", name_segment(number)]
    return _join_lines([*lines, "#EXT-X-ENDLIST"])


def iframe_playlist(grid: Grid, iframes: Sequence[IFrame]) -> str:
    """Return an I-frame playlist: one picture per segment for scrubbing, as a byte range of the segment."""
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
    """Return the master playlist, given the bit rates of each rendition by name."""
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
            attributes = _variant_attributes(rendition, rates, [rendition.codec])
            lines.append(f'#EXT-X-I-FRAME-STREAM-INF:{attributes},URI="{rendition.name}/{IFRAME_PLAYLIST}"')
    return _join_lines(lines)


def parse_segments(playlist: str) -> dict[str, Fraction]:
    """Return the duration in seconds of each segment in a media playlist by file name, in order."""
    return {name: Fraction(duration) for duration, name in _SEGMENT_PATTERN.findall(playlist)}


def parse_iframes(playlist: str) -> dict[int, int]:
    """Return the size in bytes of each I-frame in an I-frame playlist, by segment number."""
    return {number: int(size) for number, size in enumerate(_IFRAME_PATTERN.findall(playlist))}


def parse_bandwidths(master: str) -> dict[str, int]:
    """Return the BANDWIDTH of each rendition by name, from a master playlist of our own."""
    return {name: int(bandwidth) for bandwidth, name in _VARIANT_PATTERN.findall(master)}


def track_names(tracks: Sequence[AudioTrack | SubtitleTrack], default_name: str) -> list[str]:
    """Return a unique display name for each track.

    It is the track's title, or else its language and purpose, or else `default_name` and a number. Equal names are made
    unique by the track's purpose and then by a number.
    """
    names: list[str] = []
    for number, track in enumerate(tracks, 1):
        title = " ".join(track.title.replace('"', "'").split())
        purposes = "".join(f" ({purpose})" for purpose in _purposes(track))
        name = title or (languages.name(track.language) or f"{default_name} {number}") + purposes
        if title and name in names:
            name = title + purposes
        numbered = (f"{name} {count}" for count in itertools.count(2))
        names.append(name if name not in names else next(unique for unique in numbered if unique not in names))
    return names


def _purposes(track: AudioTrack | SubtitleTrack) -> list[str]:
    if isinstance(track, AudioTrack):
        return [_AUDIO_PURPOSES[track.role]] if track.role else []
    return [*([_SUBTITLE_PURPOSES[track.role]] if track.role else []), *(["forced"] if track.forced else [])]


def _audio_media_tags(presentation: Presentation, alternate_media: AlternateMedia) -> list[str]:
    """Return the tags of the audio group.

    The first track has no URI, as it is muxed into the renditions (RFC 8216, 4.3.4.2.1); the others have folders.
    """
    if not alternate_media.audio:
        return []
    names, seen, lines = track_names(presentation.audio, "Audio"), set[tuple[str, str]](), []
    for number in (0, *alternate_media.audio):
        track = presentation.audio[number]
        language, characteristics = languages.tag(track.language), _AUDIO_CHARACTERISTICS.get(track.role, "")
        # Players choose by language and characteristics, so of equal tracks only the first may be selected
        # automatically (RFC 8216, 4.3.4.1.1).
        is_automatic = (language, characteristics) not in seen and (number == 0 or track.role not in _MANUAL_ROLES)
        seen.add((language, characteristics))
        fields = {"DEFAULT": _yes_or_no(number == 0), "AUTOSELECT": _yes_or_no(is_automatic)}
        fields |= _characteristics_field(characteristics)
        uri = f"{audio_folder_name(number)}/{MEDIA_PLAYLIST}" if number else ""
        lines.append(_media_tag("AUDIO", _AUDIO_GROUP, names[number], language, {**fields, "CHANNELS": '"2"'}, uri))
    return lines


def _subtitle_media_tags(presentation: Presentation, alternate_media: AlternateMedia) -> list[str]:
    names, seen, lines = track_names(presentation.subtitles, "Subtitles"), set[tuple[str, bool, str]](), []
    for number in alternate_media.subtitles:
        track = presentation.subtitles[number - 1]
        language, characteristics = languages.tag(track.language), _SUBTITLE_CHARACTERISTICS.get(track.role, "")
        key = (language, track.forced, characteristics)
        is_automatic = key not in seen and track.role not in _MANUAL_ROLES
        seen.add(key)
        fields = {"DEFAULT": "NO", "AUTOSELECT": _yes_or_no(is_automatic), "FORCED": _yes_or_no(track.forced)}
        fields |= _characteristics_field(characteristics)
        uri = f"{subtitle_folder_name(number)}/{MEDIA_PLAYLIST}"
        lines.append(_media_tag("SUBTITLES", _SUBTITLE_GROUP, names[number - 1], language, fields, uri))
    return lines


def _characteristics_field(characteristics: str) -> dict[str, str]:
    return {"CHARACTERISTICS": f'"{characteristics}"'} if characteristics else {}


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
    """Return the attributes of a variant.

    Its bandwidth includes the largest alternate audio track, which players load in addition to the muxed one.
    """
    alternate = alternate_media.audio_rates
    total_rates = Rates(rates.peak + alternate.peak, rates.average + alternate.average)
    codecs = [rendition.codec, *([audio_filters.CODEC] if presentation.audio else [])]
    groups = [f'AUDIO="{_AUDIO_GROUP}"'] if alternate_media.audio else []
    groups += [f'SUBTITLES="{_SUBTITLE_GROUP}"'] if alternate_media.subtitles else []
    frame_rate = f"FRAME-RATE={float(presentation.grid.fps):.3f}"
    return ",".join([_variant_attributes(rendition, total_rates, codecs), frame_rate, *groups])


def _variant_attributes(rendition: Rendition, rates: Rates, codecs: Sequence[str]) -> str:
    return (
        f'BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},CODECS="{",".join(codecs)}",'
        f"RESOLUTION={rendition.width}x{rendition.height}"
    )


def _join_lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
