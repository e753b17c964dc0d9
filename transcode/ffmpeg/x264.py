"""Every x264 setting in one place.

Segments of both kinds are mixed freely by players, so what decides about the order of frames is the same for
both and must stay so: three B-frames and a B-pyramid (decoding runs two frames ahead, see `Grid.cut`), closed
groups of pictures of exactly one segment, no scene cuts, no open ends.
"""

from __future__ import annotations

from enum import Enum

from transcode.grid import Grid
from transcode.ladder import Rendition


class Quality(Enum):
    """Who waits for the result: nobody, or a viewer, whose segment the bulk one replaces soon."""

    BATCH = "bulk"
    ON_DEMAND = "interactive"


_PRESET = "veryfast"

# Of a decoder in front of an input, of an encoder in front of an output. Bulk work runs one chunk per core: with one
# thread each that is 6 % faster on a long film, but the last chunk would then run on one core alone.
THREAD_OPTIONS = ("-threads:v", "2")

_FRAME_ORDER_PARAMS = "b-pyramid=normal"

# Measured, see the table in benchmarks/transcode.py: adaptive quantisation at its full strength costs more bytes than
# it is worth, trellis quantisation pays for itself, and slower presets gain less than their time.
_BATCH_PARAMS = f"{_FRAME_ORDER_PARAMS}:trellis=1:aq-mode=2:aq-strength=0.6:deblock=-1,-1"
_BATCH_CRF = {"480p": 22.2, "720p": 21.8, "1080p": 22.0}
_ON_DEMAND_CRF = 23.0


def options(rendition: Rendition, grid: Grid, quality: Quality) -> list[str]:
    """For one output; pure."""
    bulk, gop = quality is Quality.BATCH, str(grid.gop)
    crf = _BATCH_CRF[rendition.name] if bulk else _ON_DEMAND_CRF
    return [
        "-c:v", "libx264", *(THREAD_OPTIONS if bulk else ()), "-preset", _PRESET, "-crf", str(crf),
        "-maxrate", str(rendition.cap), "-bufsize", str(2 * rendition.cap),
        "-profile:v", "high", "-level:v", rendition.level, "-pix_fmt", "yuv420p",
        # Fixed lengths, not -force_key_frames with n_forced: with kept time stamps that forces every frame.
        "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-flags", "+cgop",
        "-bf", "3", "-x264-params", _BATCH_PARAMS if bulk else _FRAME_ORDER_PARAMS,
    ]  # fmt: skip
