"""Every x264 setting in one place.

Segments of both kinds are mixed freely by players, so what decides about the order of frames is the same for
both and must stay so: three B-frames and a B-pyramid (decoding runs two frames ahead, see `Grid.cut`), closed
groups of pictures of exactly one segment, no scene cuts, no open ends.
"""

from __future__ import annotations

from enum import StrEnum

from transcode.grid import Grid
from transcode.ladder import Rendition


class Quality(StrEnum):
    """Who waits for the result."""

    BULK = "faster"  # measured, see benchmarks/transcode.py
    INTERACTIVE = "veryfast"  # a viewer waits; the bulk one replaces it soon


_CRF = {Quality.BULK: "22.5", Quality.INTERACTIVE: "23"}


def options(rendition: Rendition, grid: Grid, quality: Quality) -> list[str]:
    """For one output; pure."""
    gop = str(grid.gop)
    return [
        "-c:v", "libx264", "-preset", quality.value, "-crf", _CRF[quality],
        "-maxrate", str(rendition.cap), "-bufsize", str(2 * rendition.cap),
        "-profile:v", "high", "-level:v", rendition.level, "-pix_fmt", "yuv420p",
        # Fixed lengths, not -force_key_frames with n_forced: with kept time stamps that forces every frame.
        "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-flags", "+cgop",
        "-bf", "3", "-x264-params", "b-pyramid=normal",
    ]  # fmt: skip
