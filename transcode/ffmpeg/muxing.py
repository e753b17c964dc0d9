"""How segments are put together; the same for bulk and interactive ones, or they would not fit each other."""

from __future__ import annotations

from pathlib import Path

from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.inputs import NO_METADATA

# Film time 0 on the clock of the published segments, in seconds: time stamps below zero (when the first picture is
# decoded, when the first frame of sound begins) do not survive a transport stream.
CLOCK_START_S = 10

# Time stamps are kept and moved by a fixed offset: otherwise the first chunk alone would be shifted by the delay
# of its B-frames, and the others not.
TIMESTAMP_OPTIONS = (
    "-output_ts_offset", str(CLOCK_START_S), "-avoid_negative_ts", "disabled",
    "-muxdelay", "0", "-muxpreload", "0", *NO_METADATA,
)  # fmt: skip

# The counters of a transport stream start anew in every file; this says so, or demuxers report corrupt packets.
INITIAL_DISCONTINUITY_FLAG = "initial_discontinuity"


def chunk_audio_input(file: Path) -> list[str]:
    """A chunk's file of sound as an input, back on the film's clock."""
    return [
        "-itsoffset",
        f"{-audio_filters.AAC_FRAME_SAMPLES / audio_filters.SAMPLE_RATE_HZ:.6f}",
        "-f",
        "mpegts",
        "-i",
        f"file:{file}",
    ]
