"""A source as ffprobe describes it, and the presentation that follows from it."""

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

# Containers in which ffmpeg can only seek by guessing.
_UNINDEXED_FORMATS = frozenset({"mpegts", "mpeg", "flv", "ogg", "asf"})
_LABEL_TAGS = ("language", "title", "handler_name", "name")
# Codecs of captured video that cannot flag it as interlaced.
UNFLAGGED_CODECS = frozenset({"rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "lagarith", "v210", "yuv2"})
_LOSSLESS_CODECS = frozenset({*UNFLAGGED_CODECS, "ffv1", "png", "qtrle", "jpeg2000"})
_DOLBY_VISION_WARNING = (
    "The colours of this video are wrong: they use a form of Dolby Vision that only Dolby Vision devices can show."
)
# Audio that begins before the picture by less than this is encoder delay and does not move the beginning.
_MAX_ENCODER_DELAY_S = 0.1
# Audio that continues for longer than this after the picture makes the video longer.
_MAX_AUDIO_TAIL_S = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """A source as ffprobe describes it, with what checks and samples have found out.

    `format`, `streams`, `programmes`: as ffprobe prints them; programmes are those of a broadcast.
    `actual_end`: the end of the last packet in seconds, if it is not where the header says.
    `has_sparse_key_frames`: key frames are so far apart that decoding from one takes too long for a single segment.
    `refresh_duration`: seconds from a key frame until the picture is complete.
    `has_long_frame_delay`: frames are decoded long before they are shown. ffmpeg seeks by decoding times in this
    container, and would arrive too late.
    `analysis_options`: input options without which ffmpeg does not find the picture.
    `undecodable_audio`: indexes of audio streams that were tried and cannot be decoded.
    `sampled_times`: presentation times of sampled pictures, in seconds and in order.
    `interlaced`: whether decoded pictures are; None if none were decoded.
    `first_field`: "top" or "bottom" if every coded picture is a single field, else "".
    `unflagged_field_order`: "tff" or "bff" if pictures are interlaced without being flagged so, else "".
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
        """Return the timestamp of the first packet in seconds."""
        return _parse_float(self.format.get("start_time"))

    @property
    def declared_duration(self) -> float:
        """Return the duration in seconds that the header declares, or 0 without one."""
        return _parse_float(self.format.get("duration"))

    @property
    def end(self) -> float:
        """Return the end in seconds on the source's clock: that of the picture, or of the audio if it is much later."""
        file_end = self.start + self.declared_duration
        video_end = _stream_end(self.video_stream) or file_end
        audio_end = max((_stream_end(stream) or file_end for stream in self.audio_streams()), default=0.0)
        return min(audio_end if audio_end > video_end + _MAX_AUDIO_TAIL_S else video_end, self.actual_end)

    @property
    def audio_video_duration(self) -> float:
        """Return the seconds of picture and audio.

        0 if only the whole file has a duration, because other streams may determine it.
        """
        streams = [self.video_stream, *self.audio_streams()]
        if self.actual_end < math.inf or len(streams) == len(self.streams) or all(map(_stream_end, streams)):
            return self.end - self.start
        return max(_stream_end(stream) - self.start for stream in streams)

    @property
    def frame_rate(self) -> float:
        """Return the frames per second as far as the beginning of the file shows them, or 0."""
        rates = [_parse_rate(self.video_stream.get(name)) for name in ("avg_frame_rate", "r_frame_rate")]
        return float(min(filter(None, rates), default=0))

    @property
    def is_seekable(self) -> bool:
        """Return whether work can begin in the middle of the file."""
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
        """Return whether the container is one of these formats, as ffmpeg names them."""
        return not set(formats).isdisjoint(str(self.format.get("format_name", "")).split(","))

    @property
    def video_stream(self) -> Mapping[str, Any]:
        """Return the video stream, which is never a cover image. Raises a permanent MediaError if there is none."""
        candidates = [
            stream for stream in self.streams if stream.get("codec_type") == "video" and not _is_cover_image(stream)
        ]
        if not candidates:
            kinds = {stream.get("codec_type") for stream in self.streams}
            raise permanent_error(
                NO_VIDEO_STREAM_MESSAGE
                if "audio" in kinds
                else STILL_IMAGE_MESSAGE
                if "video" in kinds
                else NOT_A_VIDEO_MESSAGE
            )
        return max(
            candidates, key=lambda stream: (not _is_still_image_codec(stream), _is_default(stream), -stream["index"])
        )

    @property
    def warning(self) -> str:
        """Return what the owner should know, in sentences, or ""."""
        side_data_list = self.video_stream.get("side_data_list", [])
        # Dolby Vision whose base layer is not an ordinary picture, such as profile 5.
        is_incompatible = any(side_data.get("dv_bl_signal_compatibility_id") == 0 for side_data in side_data_list)
        sentences = [_DOLBY_VISION_WARNING] if is_incompatible else []
        if (count := sum(map(_has_video, self.programmes))) > 1:
            sentences.append(f"This recording holds {count} programmes; only one of them was imported.")
        omissions = tracks.describe_omissions(self._programme_streams(), self.audio_streams(), self.undecodable_audio)
        return " ".join([*sentences, *omissions])

    def audio_streams(self) -> list[Mapping[str, Any]]:
        """Return the audio streams of the programme that can be decoded, the main one first."""
        return tracks.sort_audio_streams(
            [stream for stream in self._programme_streams() if self._is_decodable_audio(stream)]
        )

    def text_subtitle_streams(self) -> list[Mapping[str, Any]]:
        """Return the subtitle streams of the programme that are text."""
        return [stream for stream in self._programme_streams() if _is_text_subtitle(stream)]

    def streams_to_copy(self) -> list[Mapping[str, Any]]:
        """Return the streams that a working copy holds, in its order."""
        return [self.video_stream, *self.audio_streams(), *self.text_subtitle_streams()]

    def streams_copied_by_older_versions(self) -> list[Mapping[str, Any]]:
        """Return the streams of a copy whose presentation does not list them: all decodable ones, default first."""
        audio = [stream for stream in self.streams if self._is_decodable_audio(stream)]
        subtitles = [stream for stream in self.streams if _is_text_subtitle(stream)]
        return [
            self.video_stream,
            *sorted(audio, key=lambda stream: (not _is_default(stream), stream["index"])),
            *subtitles,
        ]

    def with_labels_of(self, originals: Sequence[Mapping[str, Any]]) -> Source:
        """Return this copy's description with the labels of its original streams, which its container does not keep.

        `originals`: the streams of the source in the order of the copy.
        """
        if len(self.streams) != len(originals):
            return self
        streams = [_with_labels(stream, original) for stream, original in zip(self.streams, originals, strict=True)]
        return replace(self, streams=streams)

    def _programme_streams(self) -> list[Mapping[str, Any]]:
        return tracks.programme_streams(self.streams, self.programmes, self.video_stream)

    def _is_decodable_audio(self, stream: Mapping[str, Any]) -> bool:
        is_decodable = stream.get("codec_type") == "audio" and tracks.is_decodable(stream)
        return is_decodable and stream["index"] not in self.undecodable_audio


def describe_source(path: Path, binaries: FfmpegBinaries) -> Source:
    """Return the description by ffprobe. Raises MediaError, a permanent one if the file is not a video."""
    if path.stat().st_size == 0:
        raise permanent_error("This file is empty.")
    source = _run_ffprobe(path, binaries, ())
    if source.is_format(*_UNINDEXED_FORMATS) and not source.video_stream.get("width"):
        return _run_ffprobe(path, binaries, LONG_ANALYSIS_OPTIONS)
    return source


def _run_ffprobe(path: Path, binaries: FfmpegBinaries, analysis_options: Sequence[str]) -> Source:
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, *analysis_options, "-of", "json", "-show_format",
        "-show_streams", "-show_programs", f"file:{path}",
    ]  # fmt: skip
    document = json.loads(run_probe(argv, path).stdout or "{}")
    return Source(
        document.get("format", {}),
        document.get("streams", []),
        analysis_options=analysis_options,
        programmes=document.get("programs", []),
    )


def build_presentation(source: Source, *, remuxed: bool = False) -> Presentation:
    """Return the presentation of a seekable source. Raises MediaError."""
    stream = source.video_stream
    video = replace(
        _build_video_track(stream, source.first_field),
        lag=_timestamp_lag(source),
        refresh=round(source.refresh_duration, 6),
    )
    if source.interlaced is not None:
        video = replace(video, interlaced=source.interlaced, parity=source.unflagged_field_order)
    origin = video_start = _parse_float(stream.get("start_time"))
    audio = source.audio_streams()
    if audio and (audio_start := _parse_float(audio[0].get("start_time"))) < video_start - _MAX_ENCODER_DELAY_S:
        origin = audio_start
    fps, lead = _fit_frame_rate(source, origin)
    origin -= float(lead)
    frame_count = max(1, round(Fraction(source.end - origin).limit_denominator(1_000_000) * fps))
    return Presentation(
        grid=Grid(fps, frame_count),
        renditions=build_ladder(video.width, video.height, fps),
        video=video,
        audio=tracks.build_audio_tracks(audio),
        subtitles=tuple(tracks.build_subtitle_track(stream) for stream in source.text_subtitle_streams()),
        origin=round(origin, 6),
        file_start=round(source.start, 6),
        remuxed=remuxed,
    )


def _fit_frame_rate(source: Source, origin: float) -> tuple[Fraction, Fraction]:
    """Return the frame rate, and by how many seconds the video starts before the origin so that few frames are lost."""
    average, nominal = (_parse_rate(source.video_stream.get(name)) for name in ("avg_frame_rate", "r_frame_rate"))
    if source.first_field:
        return choose_frame_rate(average / 2, nominal / 2), Fraction(0)
    fps, lead = fit_frame_rate(source.sampled_times, origin, average, nominal)
    # Fields may be in packets of their own: there are no more interlaced pictures than the headers say.
    if source.interlaced and fps > choose_frame_rate(average, nominal) * Fraction(3, 2):
        return choose_frame_rate(average, nominal), Fraction(0)
    return fps, lead


def _build_video_track(stream: Mapping[str, Any], first_field: str = "") -> VideoTrack:
    width, height = int(stream["width"]), int(stream["height"]) * (2 if first_field else 1)
    if aspect := _parse_rate(str(stream.get("sample_aspect_ratio", "")).replace(":", "/")):
        # Square pixels: narrow ones are widened, wide ones are heightened, so that no detail is lost.
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
        fields=first_field,
    )


def _is_full_range(stream: Mapping[str, Any]) -> bool:
    """Return whether black is 0: if the stream says so, or if it is lossless gray and says nothing."""
    if color_range := _known_or_empty(stream.get("color_range")):
        return color_range == "pc"
    return str(stream.get("pix_fmt", "")).startswith("gray") and stream.get("codec_name") in _LOSSLESS_CODECS


def _timestamp_lag(source: Source) -> float:
    """Return the seconds by which timestamps are late.

    An AVI holds no presentation times, so ffmpeg stamps frames when they leave the decoder.
    """
    rate = _parse_rate(source.video_stream.get("avg_frame_rate"))
    if not source.is_format("avi") or not rate:
        return 0.0
    return round(float(_parse_float(source.video_stream.get("has_b_frames")) / rate), 6)


def _rotation(stream: Mapping[str, Any]) -> int:
    """Return the rotation in degrees."""
    side_data_list = stream.get("side_data_list", [])
    return next((int(float(side_data["rotation"])) for side_data in side_data_list if "rotation" in side_data), 0)


def _stream_end(stream: Mapping[str, Any]) -> float:
    """Return the end of a stream in seconds, or 0 if the container does not record it."""
    start = _parse_float(stream.get("start_time"))
    if duration := _parse_float(stream.get("duration")):
        return start + duration
    # Matroska's tag is a duration if mkvmerge wrote it, together with other statistics; ffmpeg writes the end.
    tag = parse_matroska_duration(tracks.read_tag(stream, "DURATION"))
    return start + tag if tag and tracks.read_tag(stream, "_STATISTICS_TAGS") else tag


def _with_labels(stream: Mapping[str, Any], original: Mapping[str, Any]) -> Mapping[str, Any]:
    if stream.get("codec_type") == "video":
        return stream
    labels = {key: original[key] for key in ("codec_name", "disposition", "channel_layout") if key in original}
    label_tags = {name: value for name, value in original.get("tags", {}).items() if name in _LABEL_TAGS}
    return {**stream, **labels, "tags": {**stream.get("tags", {}), **label_tags}}


def _has_video(programme: Mapping[str, Any]) -> bool:
    return any(stream.get("codec_type") == "video" for stream in programme.get("streams", ()))


def _known_or_empty(value: Any) -> str:
    return "" if value in (None, "unknown", "reserved") else str(value)


def _parse_rate(value: Any) -> Fraction:
    """Return the value of a positive fraction such as "24000/1001", or 0 for anything else."""
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
    """Return whether a codec is one of still images. Some cameras record it; beside another stream it is a cover."""
    return stream.get("codec_name") in ("mjpeg", "png", "bmp", "gif", "webp")


def _is_text_subtitle(stream: Mapping[str, Any]) -> bool:
    return stream.get("codec_name") in tracks.TEXT_SUBTITLE_CODECS


def _is_default(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("default"))
