"""Muxer options of segments, the same for batch and on-demand ones, so that they fit each other."""

from __future__ import annotations

from pathlib import Path

from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.inputs import NO_METADATA

# The time at which the video starts on the clock of the published segments, in seconds: a transport stream cannot hold
# negative timestamps (the decoding time of the first picture, the start of the first audio frame).
CLOCK_START_S = 10

# Timestamps are kept and moved by a fixed offset: otherwise only the first chunk would be shifted by the delay of its
# B-frames.
TIMESTAMP_OPTIONS = (
    "-output_ts_offset", str(CLOCK_START_S), "-avoid_negative_ts", "disabled",
    "-muxdelay", "0", "-muxpreload", "0", *NO_METADATA,
)  # fmt: skip

# The continuity counters of a transport stream start anew in every file. This flag declares it; without it, demuxers
# report corrupt packets.
INITIAL_DISCONTINUITY_FLAG = "initial_discontinuity"


def chunk_audio_input(file: Path) -> list[str]:
    """Return the arguments that open a chunk's audio file as an input, moved back onto the video's clock."""
    return [
        "-itsoffset",
        f"{-audio_filters.AAC_FRAME_SAMPLES / audio_filters.SAMPLE_RATE_HZ:.6f}",
        "-f",
        "mpegts",
        "-i",
        f"file:{file}",
    ]
