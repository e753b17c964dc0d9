"""The filters and codec that bring a source's sound onto the film's clock.

The sound of a film is encoded once, as one stream of AAC frames, frame n beginning at sample 1024 * n. Whoever
encodes a piece of it begins on such a frame, so that pieces fit.
"""

from __future__ import annotations

from fractions import Fraction

from transcode.grid import CLOCK, nearest_integer
from transcode.timeline import AudioTrack, Timeline

RATE = 48_000  # samples per second
FRAME = 1024  # samples of one AAC frame; the encoder's output runs one frame ahead of its input, so that the clock of
# the files of sound is moved by one: their first packet is at 0
BITRATE = 128_000  # bits per second
_OFF = 0.04  # seconds that sound may be away from its time
CODEC = "mp4a.40.2"  # AAC-LC, RFC 6381

# framelog: "quiet" is newer than 5.1; at the level of talk that reports the result, verbose is silent too.
MEASURE_LOUDNESS = "ebur128=framelog=verbose"

OPTIONS = ("-c:a", "aac", "-b:a", str(BITRATE), "-ar", str(RATE), "-ac", "2")


def on_clock(timeline: Timeline, first_sample: int = 0, end: Fraction | None = None) -> str:
    """Filters whose output begins at a sample of the film's clock and has no hole until `end` (the film's).

    A track that starts late, has holes or ends early is filled with silence.
    """
    count = nearest_integer((timeline.grid.duration if end is None else end) * RATE) - first_sample
    origin = f"asetpts=PTS-({timeline.origin:.6f})/TB," if timeline.origin else ""
    return (
        # Two steps, for the second one counts `first_pts` in samples of its input. It cuts off what comes before, and
        # fills or cuts where sound is further from its time than a frame of the picture lasts.
        f"{origin}aresample={RATE},aresample={RATE}:async=1:min_hard_comp={_OFF}:first_pts={first_sample},"
        # Counted, not timed: where there is no sound at all any more, silence would begin at 0.
        f"apad=whole_len={count},atrim=end_sample={count},asetpts=N+{first_sample},aformat=channel_layouts=stereo"
    )


def frames_before(tick: int) -> int:
    """How many AAC frames of the run begin before a tick of the film's clock; the first begins at -1024 samples."""
    length = FRAME * CLOCK // RATE
    return max(0, -(-tick // length) + 1)


def source_map(track: AudioTrack) -> str:
    """The track in input 0."""
    return f"0:{track.index}"
