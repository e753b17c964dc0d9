"""The filters and codec that bring a source's sound onto the film's clock.

The sound of a film is encoded once, as one stream of AAC frames, frame n beginning at sample 1024 * n. Whoever
encodes a piece of it begins on such a frame, so that pieces fit.
"""

from __future__ import annotations

from fractions import Fraction

from transcode.ffmpeg.downmix import stereo_downmix_filter
from transcode.grid import MPEG_CLOCK_HZ, nearest_integer
from transcode.presentation import AudioTrack, Presentation

SAMPLE_RATE_HZ = 48_000  # samples per second
AAC_FRAME_SAMPLES = (
    1024  # samples of one AAC frame; the encoder's output runs one frame ahead of its input, so that the clock of
)
# the files of sound is moved by one: their first packet is at 0
BITRATE_BPS = 128_000  # bits per second
_MAX_DRIFT_S = 0.04  # seconds that sound may be away from its time
CODEC = "mp4a.40.2"  # AAC-LC, RFC 6381

# framelog: "quiet" is newer than 5.1; at the level of talk that reports the result, verbose is silent too.
LOUDNESS_FILTER = "ebur128=framelog=verbose"

ENCODER_OPTIONS = ("-c:a", "aac", "-b:a", str(BITRATE_BPS), "-ar", str(SAMPLE_RATE_HZ), "-ac", "2")

# ffmpeg mixes whole numbers at other weights than these, which cannot exceed full scale: PCM and FLAC would be 8 dB
# quieter than the same sound in AC-3.
FLOAT_FILTER = "aformat=sample_fmts=fltp"
MONO_FILTER = "aformat=channel_layouts=mono"
_JOINED = "join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR"

# Peaks. What is mixed from more than two channels keeps ffmpeg's usual weights, so that dialogue is as loud as ever,
# and can then be 8 dB above full scale when all of them are loud. A gain for the whole film would have to be measured
# first, and neither the first chunks nor a single segment can wait for that; weights that cannot exceed full scale make
# every film 8 dB quieter. So a limiter holds down peaks alone. It sees them at twice the rate, where those between
# samples show, and its ceiling leaves room for what AAC at this rate adds: up to 4.5 dB were measured for noise,
# squares and bursts of all channels at full scale, which come out below -1 dBTP so. Sound that is stereo or mono has
# been mastered; its ceiling takes only the last dB or two, else loud music would be squeezed.
_MIXED_CEILING = 0.5  # -6 dBFS
_MASTERED_CEILING = 0.75  # -2.5 dBFS
_LIMITER_RATE = 2 * SAMPLE_RATE_HZ
# The limiter looks ahead, and what it gives out is late by one sample less than it keeps: 481 samples, so that this is
# a whole number at both rates. Versions that could make up for it (`latency`) are not presumed.
_LIMITER_DELAY = 240  # samples at RATE
_LOOK_AHEAD_MS = "5.0108"


def clock_filters(
    presentation: Presentation, track: AudioTrack, *more: str, first_sample: int = 0, end: Fraction | None = None
) -> list[str]:
    """Return options that map a track of input 0 in stereo, from a sample of the film's clock to `end` (the film's).

    A track that starts late, has holes or ends early is filled with silence. `more`: filters behind it.
    """
    count = nearest_integer((presentation.grid.duration if end is None else end) * SAMPLE_RATE_HZ) - first_sample
    steady = _steady(presentation, first_sample, count + _LIMITER_DELAY)
    behind = ",".join([*_limited(track, first_sample, count), *more])
    if track.right_index is None:
        return ["-map", f"0:{track.index}", "-af", f"{steady},{stereo_downmix_filter(track)},{behind}"]
    sides = [f"[0:{index}]{steady},{MONO_FILTER}[side{index}]" for index in track.indexes]
    both = "".join(f"[side{index}]" for index in track.indexes)
    made = f"[sound{track.index}]"
    return ["-filter_complex", ";".join([*sides, f"{both}{_JOINED},{behind}{made}"]), "-map", made]


def _steady(timeline: Presentation, first_sample: int, count: int) -> str:
    """Return filters whose output begins at a sample of the film's clock and has `count` of them, without a hole."""
    origin = f"asetpts=PTS-({timeline.origin:.6f})/TB," if timeline.origin else ""
    return (
        # Two steps, for the second one counts `first_pts` in samples of its input. It cuts off what comes before, and
        # fills or cuts where sound is further from its time than a frame of the picture lasts.
        f"{origin}{FLOAT_FILTER},aresample={SAMPLE_RATE_HZ},aresample={SAMPLE_RATE_HZ}:async=1:min_hard_comp={_MAX_DRIFT_S}:first_pts={first_sample},"
        # Counted, not timed: where there is no sound at all any more, silence would begin at 0.
        f"apad=whole_len={count},atrim=end_sample={count},asetpts=N+{first_sample}"
    )


def _limited(track: AudioTrack, first_sample: int, count: int) -> list[str]:
    """Return filters that hold down peaks, and give out `count` samples with their numbers."""
    ceiling = _MIXED_CEILING if track.channels > 2 else _MASTERED_CEILING
    return [
        f"aresample={_LIMITER_RATE}",
        f"alimiter=limit={ceiling}:level=disabled:attack={_LOOK_AHEAD_MS}",
        f"aresample={SAMPLE_RATE_HZ}",
        f"atrim=start_sample={_LIMITER_DELAY}:end_sample={count + _LIMITER_DELAY}",
        f"asetpts=N+{first_sample}",
        "aformat=channel_layouts=stereo",
    ]


def count_frames_before(tick: int) -> int:
    """How many AAC frames of the run begin before a tick of the film's clock; the first begins at -1024 samples."""
    length = AAC_FRAME_SAMPLES * MPEG_CLOCK_HZ // SAMPLE_RATE_HZ
    return max(0, -(-tick // length) + 1)
