"""Every x264 setting.

Players mix batch and on-demand segments freely, so the settings that decide the order of frames are the same for both
and must stay so: three B-frames and a B-pyramid (decoding runs two frames ahead, see `Grid.cut_tick`), closed groups
of pictures of exactly one segment, no scene cuts, no open ends.
"""

from __future__ import annotations

from enum import Enum

from transcode.grid import Grid
from transcode.ladder import Rendition


class Quality(Enum):
    """What an encode is for: the final segments, or one that a viewer waits for and that is replaced soon."""

    BATCH = "bulk"
    ON_DEMAND = "interactive"


_PRESET = "veryfast"

# For a decoder in front of an input, for an encoder in front of an output. Batch work runs one chunk per core: one
# thread each would be 6 % faster on a long video, but the last chunk would then run on a single core.
THREAD_OPTIONS = ("-threads:v", "2")

_FRAME_ORDER_PARAMS = "b-pyramid=normal"

# Measured, see the table in benchmarks/transcode.py: adaptive quantisation at full strength costs more bytes than it is
# worth, trellis quantisation pays for itself, and slower presets gain less than their time costs.
_BATCH_PARAMS = f"{_FRAME_ORDER_PARAMS}:trellis=1:aq-mode=2:aq-strength=0.6:deblock=-1,-1"
_BATCH_CRF = {"480p": 22.2, "720p": 21.8, "1080p": 22.0}
_ON_DEMAND_CRF = 23.0


def options(rendition: Rendition, grid: Grid, quality: Quality) -> list[str]:
    """Return the encoder options of one output."""
    is_batch, gop = quality is Quality.BATCH, str(grid.gop)
    crf = _BATCH_CRF[rendition.name] if is_batch else _ON_DEMAND_CRF
    return [
        "-c:v", "libx264", *(THREAD_OPTIONS if is_batch else ()), "-preset", _PRESET, "-crf", str(crf),
        "-maxrate", str(rendition.cap), "-bufsize", str(2 * rendition.cap),
        "-profile:v", "high", "-level:v", rendition.level, "-pix_fmt", "yuv420p",
        # Fixed lengths, not -force_key_frames with n_forced: with copied timestamps that forces every frame.
        "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-flags", "+cgop",
        "-bf", "3", "-x264-params", _BATCH_PARAMS if is_batch else _FRAME_ORDER_PARAMS,
    ]  # fmt: skip
