"""A source as ffprobe describes it, and the timeline that follows from that."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.inputs import INPUT_GUARDS, LONG_ANALYSIS_OPTIONS
from transcode.grid import Grid, choose_frame_rate, fit_frame_rate
from transcode.ladder import build_ladder
from transcode.presentation import Presentation, VideoTrack
from transcode.probe import tracks
from transcode.probe.ffprobe import (
    NO_VIDEO_STREAM_MESSAGE,
    NOT_A_VIDEO_MESSAGE,
    STILL_IMAGE_MESSAGE,
    permanent_error,
    run_probe,
)
from transcode.timestamps import parse_matroska_duration

# Containers that ffmpeg can only seek in by guessing.
_UNINDEXED_FORMATS = frozenset({"mpegts", "mpeg", "flv", "ogg", "asf"})
_WORDS = ("language", "title", "handler_name", "name")  # tags that say what a track is
# Codecs of captured video that have no place to say that it is interlaced.
UNFLAGGED_CODECS = frozenset({"rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "lagarith", "v210", "yuv2"})
_LOSSLESS = frozenset({*UNFLAGGED_CODECS, "ffv1", "png", "qtrle", "jpeg2000"})
_DOLBY_VISION_WARNING = (
    "The colours of this film are wrong: they are in a form of Dolby Vision that only its devices show."
)
# An audio track that begins this much earlier than the picture is encoder delay, not a beginning.
_MAX_ENCODER_DELAY_S = 0.1
# Sound that goes on for longer than this behind the picture makes the film longer.
_MAX_AUDIO_TAIL_S = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """A source as ffprobe describes it; `ends`: when its last packet does, if that is not where it says.

    `sparse`: key frames are so far apart that whoever begins in the middle decodes for too long first. `refresh`:
    seconds from a key frame until the picture is whole. `leaps`: frames are decoded long before they are shown, and
    ffmpeg, which seeks by the former in this container, would come too late. `look_longer`: options without which
    ffmpeg does not find it. `programmes`: of a broadcast, each with its streams. `unheard`: indexes of sound streams
    that were tried and cannot be decoded. `times`: when sampled pictures are shown, in
    seconds and in order. `interlaced`: what
    decoded pictures say of that, None when none were decoded. `fields`: which field comes first, "top" or "bottom",
    where each of them is a field. `parity`: "tff" or "bff" where they are interlaced and do not say so.
    """

    format: Mapping[str, Any]
    streams: Sequence[Mapping[str, Any]]
    actual_end: float = math.inf
    has_sparse_key_frames: bool = False
    refresh_duration: float = 0.0
    has_long_frame_delay: bool = False
    analysis_options: Sequence[str] = ()
    programmes: Sequence[Mapping[str, Any]] = ()
    undecodable_audio: Set[int] = frozenset()
    sampled_times: Sequence[float] = ()
    interlaced: bool | None = None
    first_field: str = ""
    unflagged_field_order: str = ""

    @property
    def start(self) -> float:
        """The time stamp of its first packet, in seconds."""
        return _parse_float(self.format.get("start_time"))

    @property
    def declared_duration(self) -> float:
        """Seconds, as its header says; 0 when it does not."""
        return _parse_float(self.format.get("duration"))

    @property
    def end(self) -> float:
        """When the film is over, on the source's clock: the picture's end, or the sound's when that is much later."""
        whole = self.start + self.declared_duration
        picture = _stream_end(self.video_stream) or whole
        sound = max((_stream_end(stream) or whole for stream in self.audio_streams()), default=0.0)
        return min(sound if sound > picture + _MAX_AUDIO_TAIL_S else picture, self.actual_end)

    @property
    def audio_video_duration(self) -> float:
        """Seconds of picture and sound; 0 when only the whole file tells a length, which other streams may make."""
        tracks = [self.video_stream, *self.audio_streams()]
        if self.actual_end < math.inf or len(tracks) == len(self.streams) or all(map(_stream_end, tracks)):
            return self.end - self.start
        return max(_stream_end(track) - self.start for track in tracks)

    @property
    def frame_rate(self) -> float:
        """Frames a second, as far as the beginning tells; 0 when it does not."""
        rates = [_parse_rate(self.video_stream.get(name)) for name in ("avg_frame_rate", "r_frame_rate")]
        return float(min(filter(None, rates), default=0))

    @property
    def is_seekable(self) -> bool:
        """Whether work can begin in the middle."""
        if (
            self.has_sparse_key_frames
            or self.has_long_frame_delay
            or self.is_format(*_UNINDEXED_FORMATS)
            or not self.declared_duration
        ):
            return False
        # A fragmented MP4 has no table of its samples.
        return not self.is_format("mov") or bool(self.video_stream.get("nb_frames"))

    def is_format(self, *formats: str) -> bool:
        """Whether the container is one of these, as ffmpeg names them."""
        return not set(formats).isdisjoint(str(self.format.get("format_name", "")).split(","))

    @property
    def video_stream(self) -> Mapping[str, Any]:
        """The video stream; a cover image is none. Raises MediaError."""
        found = [
            stream for stream in self.streams if stream.get("codec_type") == "video" and not _is_cover_image(stream)
        ]
        if not found:
            kinds = {stream.get("codec_type") for stream in self.streams}
            raise permanent_error(
                NO_VIDEO_STREAM_MESSAGE
                if "audio" in kinds
                else STILL_IMAGE_MESSAGE
                if "video" in kinds
                else NOT_A_VIDEO_MESSAGE
            )
        return max(found, key=lambda stream: (not _is_still_image_codec(stream), _is_default(stream), -stream["index"]))

    @property
    def warning(self) -> str:
        """What its owner should know, in sentences, "" for nothing."""
        sides = self.video_stream.get("side_data_list", [])
        # Dolby Vision whose base layer is no picture of an ordinary kind, such as profile 5.
        strange = any(side.get("dv_bl_signal_compatibility_id") == 0 for side in sides)
        found = [_DOLBY_VISION_WARNING] if strange else []
        if len(pictured := [one for one in self.programmes if _has_picture(one)]) > 1:
            found.append(f"This recording holds {len(pictured)} programmes; one of them was taken in.")
        return " ".join(
            [*found, *tracks.describe_omissions(self._of_programme(), self.audio_streams(), self.undecodable_audio)]
        )

    def audio_streams(self) -> list[Mapping[str, Any]]:
        """Audio streams of its programme that can be decoded, the main one first."""
        return tracks.sort_audio_streams([stream for stream in self._of_programme() if self._is_heard(stream)])

    def text_subtitle_streams(self) -> list[Mapping[str, Any]]:
        """Subtitle streams of its programme that are text."""
        return [stream for stream in self._of_programme() if stream.get("codec_name") in tracks.TEXT_SUBTITLE_CODECS]

    def streams_to_copy(self) -> list[Mapping[str, Any]]:
        """Return the streams that a copy to work on has, in its order."""
        return [self.video_stream, *self.audio_streams(), *self.text_subtitle_streams()]

    def streams_copied_by_older_versions(self) -> list[Mapping[str, Any]]:
        """Return the streams of a copy whose timeline does not list them: all that can be decoded, default first."""
        sounds = [stream for stream in self.streams if self._is_heard(stream)]
        texts = [stream for stream in self.streams if stream.get("codec_name") in tracks.TEXT_SUBTITLE_CODECS]
        return [self.video_stream, *sorted(sounds, key=lambda one: (not _is_default(one), one["index"])), *texts]

    def with_labels_of(self, originals: Sequence[Mapping[str, Any]]) -> Source:
        """Return the same, of a copy, with all that its container does not keep of these streams, in their order."""
        if len(self.streams) != len(originals):
            return self
        found = [_labelled(stream, original) for stream, original in zip(self.streams, originals, strict=True)]
        return replace(self, streams=found)

    def _of_programme(self) -> list[Mapping[str, Any]]:
        return tracks.programme_streams(self.streams, self.programmes, self.video_stream)

    def _is_heard(self, stream: Mapping[str, Any]) -> bool:
        is_sound = stream.get("codec_type") == "audio" and tracks.is_decodable(stream)
        return is_sound and stream["index"] not in self.undecodable_audio


def describe_source(path: Path, binaries: FfmpegBinaries) -> Source:
    """Ask ffprobe. Raises MediaError, hopeless when the file is no film."""
    if path.stat().st_size == 0:
        raise permanent_error("This file is empty.")
    source = _run_ffprobe(path, binaries, ())
    if source.is_format(*_UNINDEXED_FORMATS) and not source.video_stream.get("width"):
        return _run_ffprobe(path, binaries, LONG_ANALYSIS_OPTIONS)
    return source


def _run_ffprobe(path: Path, binaries: FfmpegBinaries, analysis_options: Sequence[str]) -> Source:
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, *analysis_options, "-of", "json", "-show_format",
        "-show_streams",
        "-show_programs", f"file:{path}",
    ]  # fmt: skip
    found = json.loads(run_probe(argv, path).stdout or "{}")
    programmes = found.get("programs", [])
    return Source(
        found.get("format", {}), found.get("streams", []), analysis_options=analysis_options, programmes=programmes
    )


def build_presentation(source: Source, *, remuxed: bool = False) -> Presentation:
    """The timeline of a source that can be sought in. Raises MediaError."""
    picture = source.video_stream
    video = replace(
        _video_track(picture, source.first_field), lag=_timestamp_lag(source), refresh=round(source.refresh_duration, 6)
    )
    if source.interlaced is not None:
        video = replace(video, interlaced=source.interlaced, parity=source.unflagged_field_order)
    begin, origin = _parse_float(picture.get("start_time")), _parse_float(picture.get("start_time"))
    sounds = source.audio_streams()
    if sounds and (first := _parse_float(sounds[0].get("start_time"))) < begin - _MAX_ENCODER_DELAY_S:
        origin = first
    fps, early = _pace(source, origin)
    origin -= float(early)
    frames = max(1, round(Fraction(source.end - origin).limit_denominator(1_000_000) * fps))
    return Presentation(
        grid=Grid(fps, frames),
        renditions=build_ladder(video.width, video.height, fps),
        video=video,
        audio=tracks.build_audio_tracks(sounds),
        subtitles=tuple(tracks.build_subtitle_track(stream) for stream in source.text_subtitle_streams()),
        origin=round(origin, 6),
        file_start=round(source.start, 6),
        remuxed=remuxed,
    )


def _pace(source: Source, origin: float) -> tuple[Fraction, Fraction]:
    """The rate of the film, and by how many seconds film time 0 is put before the origin to keep most pictures."""
    average, nominal = (_parse_rate(source.video_stream.get(name)) for name in ("avg_frame_rate", "r_frame_rate"))
    if source.first_field:
        return choose_frame_rate(average / 2, nominal / 2), Fraction(0)
    fps, early = fit_frame_rate(source.sampled_times, origin, average, nominal)
    # Fields may come in packets of their own: of interlaced pictures there are not more than the headers say.
    if source.interlaced and fps > choose_frame_rate(average, nominal) * Fraction(3, 2):
        return choose_frame_rate(average, nominal), Fraction(0)
    return fps, early


def _video_track(stream: Mapping[str, Any], fields: str = "") -> VideoTrack:
    width, height = int(stream["width"]), int(stream["height"]) * (2 if fields else 1)
    if aspect := _parse_rate(str(stream.get("sample_aspect_ratio", "")).replace(":", "/")):
        # Square pixels: what is too narrow is made wider, what is too wide is made higher, so that nothing is lost.
        width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if _rotation(stream) % 180 == 90:
        width, height = height, width
    return VideoTrack(
        index=stream["index"],
        width=width,
        height=height,
        interlaced=stream.get("field_order", "progressive") in ("tt", "bb", "tb", "bt"),
        pixel_format=stream.get("pix_fmt", ""),
        matrix=_known_or_empty(stream.get("color_space")),
        primaries=_known_or_empty(stream.get("color_primaries")),
        transfer=_known_or_empty(stream.get("color_transfer")),
        full_range=_is_full_range(stream),
        plain_tags=True,
        fields=fields,
    )


def _is_full_range(stream: Mapping[str, Any]) -> bool:
    """Whether black is 0: as the stream says, and in uncompressed and lossless gray that says nothing."""
    if levels := _known_or_empty(stream.get("color_range")):
        return levels == "pc"
    return str(stream.get("pix_fmt", "")).startswith("gray") and stream.get("codec_name") in _LOSSLESS


def _timestamp_lag(source: Source) -> float:
    """An AVI holds no times at which frames are shown: ffmpeg stamps them when they come out of the decoder."""
    rate = _parse_rate(source.video_stream.get("avg_frame_rate"))
    if not source.is_format("avi") or not rate:
        return 0.0
    return round(float(_parse_float(source.video_stream.get("has_b_frames")) / rate), 6)


def _rotation(stream: Mapping[str, Any]) -> int:
    sides = stream.get("side_data_list", [])
    return next((int(float(side["rotation"])) for side in sides if "rotation" in side), 0)


def _stream_end(stream: Mapping[str, Any]) -> float:
    """0 when the container does not say."""
    begin = _parse_float(stream.get("start_time"))
    if length := _parse_float(stream.get("duration")):
        return begin + length
    # Matroska's tag is a length when mkvmerge wrote it, with other statistics beside it; ffmpeg writes an end.
    length = parse_matroska_duration(tracks.read_tag(stream, "DURATION"))
    return begin + length if length and tracks.read_tag(stream, "_STATISTICS_TAGS") else length


def _labelled(stream: Mapping[str, Any], original: Mapping[str, Any]) -> Mapping[str, Any]:
    if stream.get("codec_type") == "video":
        return stream
    labels = {key: original[key] for key in ("codec_name", "disposition", "channel_layout") if key in original}
    words = {name: value for name, value in original.get("tags", {}).items() if name in _WORDS}
    return {**stream, **labels, "tags": {**stream.get("tags", {}), **words}}


def _has_picture(programme: Mapping[str, Any]) -> bool:
    return any(stream.get("codec_type") == "video" for stream in programme.get("streams", ()))


def _known_or_empty(value: Any) -> str:
    return "" if value in (None, "unknown", "reserved") else str(value)


def _parse_rate(value: Any) -> Fraction:
    """A positive fraction such as "24000/1001"; 0 for anything else."""
    try:
        return max(Fraction(0), Fraction(str(value)))
    except (ValueError, ZeroDivisionError):
        return Fraction(0)


def _parse_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _is_cover_image(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _is_still_image_codec(stream: Mapping[str, Any]) -> bool:
    """A codec of still pictures, of which some cameras made films; beside another one it is a cover."""
    return stream.get("codec_name") in ("mjpeg", "png", "bmp", "gif", "webp")


def _is_default(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("default"))
