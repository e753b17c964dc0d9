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


@dataclass(frozen=True, slots=True)
class Copied:
    """A stream of the source: its index, "video", "audio" or "subtitle", and the codec as ffmpeg names it."""

    index: int
    kind: str
    codec: str

    @property
    def becomes(self) -> str:
        """The codec in the copy."""
        if self.kind == "audio" and self.codec not in _SOUNDS:
            return "flac"
        if self.kind == "subtitle" and self.codec not in _TEXTS:
            return "subrip"
        return "copy"


@dataclass(frozen=True, slots=True)
class RemuxPlan:
    """Writes `REMUXED`, a Matroska file, with these streams in this order."""

    source: Path
    streams: tuple[Copied, ...]

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        streams = [
            option
            for place, stream in enumerate(self.streams)
            for option in ("-map", f"0:{stream.index}", f"-c:{place}", stream.becomes)
        ]
        return [
            *QUIET, *PROGRESS, *guarded(self.source, "-fflags", "+genpts"), *streams,
            # The source's languages stay; a broken packet is dropped by the decoder, not here.
            "-map_chapters", "-1", "-max_interleave_delta", "0", "-f", "matroska", REMUXED,
        ]  # fmt: skip
