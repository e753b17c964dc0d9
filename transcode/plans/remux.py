"""The streams of a source without a usable index, in a container that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.plans.source import PROGRESS, QUIET, guarded

REMUXED = "source.mkv"

# Sound that Matroska cannot hold as it is (of DVDs, Blu-rays, DVB, old Flash) is kept without loss.
_SOUNDS = frozenset(
    {"aac", "ac3", "eac3", "dts", "truehd", "mp1", "mp2", "mp3", "vorbis", "opus", "flac", "alac", "wavpack", "tta"}
    | {"wmav1", "wmav2", "wmapro", "adpcm_ms", "adpcm_ima_wav", "pcm_u8", "pcm_f32le"}
    | {f"pcm_s{bits}{order}" for bits in (16, 24, 32) for order in ("le", "be")}
)
_TEXTS = frozenset({"subrip", "ass"})

# A bit that flipped on the way moves a frame by hours, and the end of the film with it: no frame is shown this long
# (seconds) before or after it is decoded.
_STRAY = 20
_HEALED_TIMES = f"setts=pts=if(gt(abs(PTS-DTS)*TB\\,{_STRAY})*gt(DTS\\,-1e18)\\,DTS\\,PTS)"
# Seconds that sound or picture of a broadcast may be away without being pulled together, which moves one against the
# other for good; clocks that begin anew jump further. ffmpeg's own ten are less than a bad reception takes.
_HOLE = "60"
# By this filter rather than by the muxer itself, which ends at the first broken packet.
_AAC_WITHOUT_HEADERS = "aac_adtstoasc"
# Bytes that a transport stream is searched for the next packet, at once; after less, ffmpeg pauses for a moment.
_RESYNC = str(10**9)


# A picture with key frames, for one that has too few: some loss nobody sees, and quick to decode. What is interlaced
# does not stay so, and the first filter keeps the size that the picture has at first.
_KEYED = (
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
class Copied:
    """A stream of the source: its index, "video", "audio" or "subtitle", and the codec as ffmpeg names it.

    `keyed`: a picture gets key frames. `timed`: the source has an index of its times, which are right.
    """

    index: int
    kind: str
    codec: str
    keyed: bool = False
    timed: bool = False

    @property
    def becomes(self) -> str:
        """The codec in the copy."""
        if self.kind == "audio" and self.codec not in _SOUNDS:
            return "flac"
        if self.kind == "subtitle" and self.codec not in _TEXTS:
            return "subrip"
        if self.keyed:
            return "libx264"
        return "copy"

    @property
    def filters(self) -> str:
        """What mends packets on their way; "" for none."""
        if self.kind == "video":
            return "" if self.keyed or self.timed else _HEALED_TIMES
        return _AAC_WITHOUT_HEADERS if self.codec == "aac" and self.becomes == "copy" else ""


@dataclass(frozen=True, slots=True)
class RemuxPlan:
    """Writes `REMUXED`, a Matroska file, with these streams in this order."""

    source: Path
    streams: tuple[Copied, ...]
    transport: bool = False  # whether the source is a transport stream
    look_longer: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        streams = [
            option
            for place, stream in enumerate(self.streams)
            for option in (
                "-map", f"0:{stream.index}", f"-c:{place}", stream.becomes,
                *([f"-bsf:{place}", stream.filters] if stream.filters else []),
            )
        ]  # fmt: skip
        search = ["-resync_size", _RESYNC] if self.transport else []
        return [
            *QUIET, *PROGRESS, "-dts_delta_threshold", _HOLE,
            *guarded(self.source, "-fflags", "+genpts", *self.look_longer, *search), *streams,
            *(_KEYED if any(stream.keyed for stream in self.streams) else ()),
            # The source's languages stay; a broken packet is dropped by the decoder, not here.
            "-map_chapters", "-1", "-max_interleave_delta", "0", "-f", "matroska", REMUXED,
        ]  # fmt: skip
