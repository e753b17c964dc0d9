"""The file that work is done on: the upload itself, or its streams in a container that can be sought in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode import paths
from transcode.errors import InputMissing, MediaError
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, guarded_input
from transcode.ffmpeg.process import GIB
from transcode.probe.source import Source, describe_source
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext

REMUXED_FILE = "source.mkv"

# Sound that Matroska cannot hold as it is (of DVDs, Blu-rays, DVB, old Flash) is kept without loss.
_MATROSKA_AUDIO_CODECS = frozenset(
    {"aac", "ac3", "eac3", "dts", "truehd", "mp1", "mp2", "mp3", "vorbis", "opus", "flac", "alac", "wavpack", "tta"}
    | {"wmav1", "wmav2", "wmapro", "adpcm_ms", "adpcm_ima_wav", "pcm_u8", "pcm_f32le"}
    | {f"pcm_s{bits}{order}" for bits in (16, 24, 32) for order in ("le", "be")}
)
_MATROSKA_SUBTITLE_CODECS = frozenset({"subrip", "ass"})

# A bit that flipped on the way moves a frame by hours, and the end of the film with it: no frame is shown this long
# (seconds) before or after it is decoded.
_MAX_DECODE_DELAY_S = 20
_REPAIR_TIMESTAMPS_FILTER = f"setts=pts=if(gt(abs(PTS-DTS)*TB\\,{_MAX_DECODE_DELAY_S})*gt(DTS\\,-1e18)\\,DTS\\,PTS)"
# Seconds that sound or picture of a broadcast may be away without being pulled together, which moves one against the
# other for good; clocks that begin anew jump further. ffmpeg's own ten are less than a bad reception takes.
_MAX_TIMESTAMP_GAP_S = "60"
# By this filter rather than by the muxer itself, which ends at the first broken packet.
_AAC_TO_ASC_FILTER = "aac_adtstoasc"
# Bytes that a transport stream is searched for the next packet, at once; after less, ffmpeg pauses for a moment.
_RESYNC_BYTES = str(10**9)


# A picture with key frames, for one that has too few: some loss nobody sees, and quick to decode. What is interlaced
# does not stay so, and the first filter keeps the size that the picture has at first.
_KEY_FRAME_OPTIONS = (
    "-filter:v",
    "scale,bwdif=mode=send_frame:deint=interlaced",
    "-preset:v",
    "superfast",
    "-crf:v",
    "14",
    "-g:v",
    "60",
    "-fps_mode",
    "passthrough",
    "-enc_time_base:v",
    "-1",
)


@dataclass(frozen=True, slots=True)
class StreamCopy:
    """A stream of the source: its index, "video", "audio" or "subtitle", and the codec as ffmpeg names it.

    `keyed`: a picture gets key frames. `timed`: the source has an index of its times, which are right.
    """

    index: int
    kind: str
    codec: str
    add_key_frames: bool = False
    has_valid_timestamps: bool = False

    @property
    def target_codec(self) -> str:
        """The codec in the copy."""
        if self.kind == "audio" and self.codec not in _MATROSKA_AUDIO_CODECS:
            return "flac"
        if self.kind == "subtitle" and self.codec not in _MATROSKA_SUBTITLE_CODECS:
            return "subrip"
        if self.add_key_frames:
            return "libx264"
        return "copy"

    @property
    def bitstream_filters(self) -> str:
        """What mends packets on their way; "" for none."""
        if self.kind == "video":
            return "" if self.add_key_frames or self.has_valid_timestamps else _REPAIR_TIMESTAMPS_FILTER
        return _AAC_TO_ASC_FILTER if self.codec == "aac" and self.target_codec == "copy" else ""


@dataclass(frozen=True, slots=True)
class RemuxPlan:
    """Writes `REMUXED`, a Matroska file, with these streams in this order."""

    source: Path
    streams: tuple[StreamCopy, ...]
    is_transport_stream: bool = False  # whether the source is a transport stream
    analysis_options: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        streams = [
            option
            for place, stream in enumerate(self.streams)
            for option in (
                "-map", f"0:{stream.index}", f"-c:{place}", stream.target_codec,
                *([f"-bsf:{place}", stream.bitstream_filters] if stream.bitstream_filters else []),
            )
        ]  # fmt: skip
        search = ["-resync_size", _RESYNC_BYTES] if self.is_transport_stream else []
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-dts_delta_threshold", _MAX_TIMESTAMP_GAP_S,
            *guarded_input(self.source, "-fflags", "+genpts", *self.analysis_options, *search), *streams,
            *(_KEY_FRAME_OPTIONS if any(stream.add_key_frames for stream in self.streams) else ()),
            # The source's languages stay; a broken packet is dropped by the decoder, not here.
            "-map_chapters", "-1", "-max_interleave_delta", "0", "-f", "matroska", REMUXED_FILE,
        ]  # fmt: skip


_MAX_COPY_BYTES = 256 * GIB  # of an encoded copy, which may be larger than its source


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """The streams of a source in Matroska; how many pictures, and whether these are all streams, byte for byte."""

    path: Path
    frame_count: int
    is_exact: bool


def working_source(context: TaskContext) -> Path:
    """Where to read from. Raises Lost when the copy is gone, and MediaError when the upload is."""
    if not context.presentation.remuxed:
        return uploaded_source(context)
    copy = paths.remuxed_path(context.media_root, context.video_id)
    if not copy.exists():
        raise InputMissing("The copy of this film that work is done on is gone.")
    return copy


def uploaded_source(context: TaskContext) -> Path:
    """The upload itself. Raises MediaError when it is gone: nothing can bring it back, but perhaps a disk is away."""
    source = Path(context.source)
    if not source.exists():
        raise MediaError("The file that was uploaded is gone.", stderr_tail=str(source))
    return source


def ensure_working_copy(context: TaskContext, progress_sink: ProgressSink) -> None:
    """Make the copy again that work on a known film is done on, if it needs one and has none."""
    known = context.presentation
    if known.remuxed and not paths.remuxed_path(context.media_root, context.video_id).exists():
        source = describe_source(uploaded_source(context), context.binaries)
        every = {stream["index"]: stream for stream in source.streams}
        streams = [every[index] for index in known.copied] or source.copied_by_older_versions()
        create_working_copy(context, progress_sink, source, streams, add_key_frames=known.keyed)


def create_working_copy(
    context: TaskContext,
    progress_sink: ProgressSink,
    source: Source,
    streams: Sequence[Mapping[str, Any]],
    *,
    add_key_frames: bool = False,
) -> WorkingCopy:
    """Copy streams of picture, sound and text into Matroska; `keyed`: the picture with key frames of its own."""
    copied = tuple(
        StreamCopy(
            one["index"], one["codec_type"], one.get("codec_name", ""),
            add_key_frames=add_key_frames and one is source.video_stream, has_valid_timestamps=source.is_format("mov"),
        )
        for one in streams
    )  # fmt: skip
    path = Path(context.source)
    size, pictures = path.stat().st_size, 0.0
    written = (
        encode.progress_with_keepalive(source.declared_duration or 1.0, progress_sink)
        if add_key_frames
        else encode.progress_by_bytes(size)
    )

    def progress(block: Mapping[str, str]) -> float:
        nonlocal pictures
        pictures = encode.read_number(block, "frame")
        return written(block)

    encode.require_free_space(context, size)
    limits = replace(
        encode.whole_video_limits(source.declared_duration),
        file_size=_MAX_COPY_BYTES if add_key_frames else 2 * size + GIB,
    )
    plan = RemuxPlan(path, copied, source.is_format("mpegts"), tuple(source.analysis_options))
    encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, progress)
    place = paths.remuxed_path(context.media_root, context.video_id)
    paths.publish(context.scratch_dir / REMUXED_FILE, place)
    is_exact = len(copied) == len(source.streams) and all(one.target_codec == "copy" for one in copied)
    return WorkingCopy(place, int(pictures), is_exact)
