"""The file that tasks read: the upload itself, or a working copy of its streams in a seekable container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode import paths, publishing
from transcode.errors import InputMissing, MediaError
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, guarded_input
from transcode.ffmpeg.process import GIB
from transcode.probe.source import Source, describe_source
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext

REMUXED_FILE = "source.mkv"

# Audio that Matroska cannot store as it is (from DVDs, Blu-rays, DVB, old Flash) is converted without loss.
_MATROSKA_AUDIO_CODECS = frozenset(
    {"aac", "ac3", "eac3", "dts", "truehd", "mp1", "mp2", "mp3", "vorbis", "opus", "flac", "alac", "wavpack", "tta"}
    | {"wmav1", "wmav2", "wmapro", "adpcm_ms", "adpcm_ima_wav", "pcm_u8", "pcm_f32le"}
    | {f"pcm_s{bits}{order}" for bits in (16, 24, 32) for order in ("le", "be")}
)
_MATROSKA_SUBTITLE_CODECS = frozenset({"subrip", "ass"})

# A flipped bit can move a frame, and with it the end of the video, by hours. No real frame is presented this long
# before or after it is decoded.
_MAX_DECODE_DELAY_S = 20
_REPAIR_TIMESTAMPS_FILTER = f"setts=pts=if(gt(abs(PTS-DTS)*TB\\,{_MAX_DECODE_DELAY_S})*gt(DTS\\,-1e18)\\,DTS\\,PTS)"
# Gaps up to this length, in which a broadcast loses audio or video, are kept. ffmpeg would close longer ones, which
# shifts audio and video against each other for good; clocks that restart jump further than this. ffmpeg's default of
# ten seconds is shorter than gaps of bad reception.
_MAX_TIMESTAMP_GAP_S = "60"
# Applied explicitly, because the muxer's automatic filter stops at the first broken packet.
_AAC_TO_ASC_FILTER = "aac_adtstoasc"
# How far to search a transport stream for the next packet in one go; ffmpeg pauses after shorter searches.
_RESYNC_BYTES = str(10**9)

# An encoded copy may be larger than its source.
_MAX_ENCODED_COPY_BYTES = 256 * GIB

# Encodes video that has too few key frames: visually lossless and fast to decode. Interlaced video is deinterlaced. The
# scale filter keeps the size of the first frame if the size changes.
_KEY_FRAME_OPTIONS = (
    "-filter:v", "scale,bwdif=mode=send_frame:deint=interlaced", "-preset:v", "superfast", "-crf:v", "14",
    "-g:v", "60", "-fps_mode", "passthrough", "-enc_time_base:v", "-1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StreamCopy:
    """A stream to copy: its index in the source, its kind ("video", "audio" or "subtitle") and ffmpeg's codec name.

    `add_key_frames`: encode the video with key frames. `has_valid_timestamps`: the source has an index with correct
    timestamps.
    """

    index: int
    kind: str
    codec: str
    add_key_frames: bool = False
    has_valid_timestamps: bool = False

    @property
    def target_codec(self) -> str:
        """Codec in the copy; "copy" leaves the stream as it is."""
        if self.kind == "audio" and self.codec not in _MATROSKA_AUDIO_CODECS:
            return "flac"
        if self.kind == "subtitle" and self.codec not in _MATROSKA_SUBTITLE_CODECS:
            return "subrip"
        if self.add_key_frames:
            return "libx264"
        return "copy"

    @property
    def bitstream_filters(self) -> str:
        """Bitstream filters that repair packets, "" for none."""
        if self.kind == "video":
            return "" if self.add_key_frames or self.has_valid_timestamps else _REPAIR_TIMESTAMPS_FILTER
        return _AAC_TO_ASC_FILTER if self.codec == "aac" and self.target_codec == "copy" else ""


@dataclass(frozen=True, slots=True)
class RemuxPlan:
    """Writes `REMUXED_FILE`, a Matroska file with these streams in this order."""

    source: Path
    streams: tuple[StreamCopy, ...]
    is_transport_stream: bool = False  # of the source
    analysis_options: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        streams = [
            option
            for number, stream in enumerate(self.streams)
            for option in (
                "-map", f"0:{stream.index}", f"-c:{number}", stream.target_codec,
                *([f"-bsf:{number}", stream.bitstream_filters] if stream.bitstream_filters else []),
            )
        ]  # fmt: skip
        resync_options = ["-resync_size", _RESYNC_BYTES] if self.is_transport_stream else []
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-dts_delta_threshold", _MAX_TIMESTAMP_GAP_S,
            *guarded_input(self.source, "-fflags", "+genpts", *self.analysis_options, *resync_options), *streams,
            *(_KEY_FRAME_OPTIONS if any(stream.add_key_frames for stream in self.streams) else ()),
            # Metadata is kept for the languages. Broken packets are kept too: decoders drop them later.
            "-map_chapters", "-1", "-max_interleave_delta", "0", "-f", "matroska", REMUXED_FILE,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """A working copy: the streams of a source in Matroska."""

    path: Path
    frame_count: int
    is_exact: bool  # it contains all streams of the source, byte for byte


def working_source(context: TaskContext) -> Path:
    """Return the file to read. Raise InputMissing if the working copy is gone, MediaError if the upload is."""
    if not context.presentation.remuxed:
        return uploaded_source(context)
    copy = paths.remuxed_path(context.media_root, context.video_id)
    if not copy.exists():
        raise InputMissing("The working copy of this video is gone.")
    return copy


def uploaded_source(context: TaskContext) -> Path:
    """Return the upload itself. Raise MediaError if it is gone: it cannot be created again, but a disk may return."""
    source = Path(context.source)
    if not source.exists():
        raise MediaError("The uploaded file is gone.", stderr_tail=str(source))
    return source


def ensure_working_copy(context: TaskContext, progress_sink: ProgressSink) -> None:
    """Create the working copy of an already probed video again, if it needs one and has none."""
    presentation = context.presentation
    if presentation.remuxed and not paths.remuxed_path(context.media_root, context.video_id).exists():
        source = describe_source(uploaded_source(context), context.binaries)
        by_index = {stream["index"]: stream for stream in source.streams}
        streams = [by_index[index] for index in presentation.copied] or source.streams_copied_by_older_versions()
        create_working_copy(context, progress_sink, source, streams, add_key_frames=presentation.keyed)


def create_working_copy(
    context: TaskContext,
    progress_sink: ProgressSink,
    source: Source,
    streams: Sequence[Mapping[str, Any]],
    *,
    add_key_frames: bool = False,
) -> WorkingCopy:
    """Copy these streams of the source into Matroska. With `add_key_frames`, encode the video instead of copying it.

    Raise OutputTooLarge if the disk has no room for the copy.
    """
    copies = _stream_copies(source, streams, add_key_frames)
    path = Path(context.source)
    size, frame_count = path.stat().st_size, 0.0
    fraction = (
        encode.progress_with_keepalive(source.declared_duration or 1.0, progress_sink)
        if add_key_frames
        else encode.progress_by_bytes(size)
    )

    def parse_progress(block: Mapping[str, str]) -> float:
        nonlocal frame_count
        frame_count = encode.read_number(block, "frame")
        return fraction(block)

    encode.require_free_space(context, size)
    max_bytes = _MAX_ENCODED_COPY_BYTES if add_key_frames else 2 * size + GIB
    limits = replace(encode.whole_video_limits(source.declared_duration), file_size=max_bytes)
    plan = RemuxPlan(path, copies, source.is_format("mpegts"), tuple(source.analysis_options))
    encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, parse_progress)
    destination = paths.remuxed_path(context.media_root, context.video_id)
    publishing.publish(context.scratch_dir / REMUXED_FILE, destination)
    is_exact = len(copies) == len(source.streams) and all(copy.target_codec == "copy" for copy in copies)
    return WorkingCopy(destination, int(frame_count), is_exact)


def _stream_copies(
    source: Source, streams: Sequence[Mapping[str, Any]], add_key_frames: bool
) -> tuple[StreamCopy, ...]:
    return tuple(
        StreamCopy(
            stream["index"],
            stream["codec_type"],
            stream.get("codec_name", ""),
            add_key_frames=add_key_frames and stream is source.video_stream,
            has_valid_timestamps=source.is_format("mov"),
        )
        for stream in streams
    )
