"""The filters and encoder options that bring a source's audio onto the video's clock.

The audio of a video is one continuous stream of AAC frames: frame n begins at sample 1024 * n. Every encode of a part
begins on such a frame, so that parts fit each other.
"""

from __future__ import annotations

from fractions import Fraction

from transcode.ffmpeg.downmix import stereo_downmix_filter
from transcode.grid import MPEG_CLOCK_HZ, nearest_integer
from transcode.presentation import AudioTrack, Presentation

SAMPLE_RATE_HZ = 48_000
# The encoder's output runs one frame ahead of its input, so the clock of the chunks' audio files is moved by one frame:
# their first packet is at 0.
AAC_FRAME_SAMPLES = 1024
BITRATE_BPS = 128_000
_MAX_DRIFT_S = 0.04  # by which audio may be off its time before it is cut or filled
CODEC = "mp4a.40.2"  # AAC-LC (RFC 6381)

# framelog: "quiet" is newer than ffmpeg 5.1; at the log level that shows the result, "verbose" is just as silent.
LOUDNESS_FILTER = "ebur128=framelog=verbose"

ENCODER_OPTIONS = ("-c:a", "aac", "-b:a", str(BITRATE_BPS), "-ar", str(SAMPLE_RATE_HZ), "-ac", "2")

# ffmpeg mixes integer samples with other weights, which cannot exceed full scale: PCM and FLAC would be 8 dB quieter
# than the same audio in AC-3.
FLOAT_FILTER = "aformat=sample_fmts=fltp"
MONO_FILTER = "aformat=channel_layouts=mono"
_JOIN_FILTER = "join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR"

# Peaks. A mix of more than two channels keeps ffmpeg's usual weights, so that dialogue keeps its loudness; it can then
# be 8 dB above full scale when all channels are loud. A gain for the whole video would have to be measured first, and
# neither the first chunks nor a single segment can wait for that; weights that cannot exceed full scale make every
# video 8 dB quieter. So a limiter attenuates only the peaks. It runs at twice the sample rate, where peaks between
# samples show, and its ceiling leaves room for what AAC at this bit rate adds: up to 4.5 dB were measured for noise,
# square waves and bursts of all channels at full scale, which come out below -1 dBTP. Stereo and mono audio has been
# mastered; its ceiling takes only the last dB or two, otherwise loud music would be compressed.
_MIXED_CEILING = 0.5  # -6 dBFS
_MASTERED_CEILING = 0.75  # -2.5 dBFS
_LIMITER_RATE_HZ = 2 * SAMPLE_RATE_HZ
# The limiter looks ahead, and its output is late by one sample less than its buffer: 481 samples, so that the delay is
# a whole number at both rates. An option that compensates for it (`latency`) is not available in all versions.
_LIMITER_DELAY_SAMPLES = 240  # at SAMPLE_RATE_HZ
_LOOK_AHEAD_MS = "5.0108"


def clock_filters(
    presentation: Presentation,
    track: AudioTrack,
    *extra_filters: str,
    first_sample: int = 0,
    end: Fraction | None = None,
) -> list[str]:
    """Return options that map a track of input 0 in stereo, from a sample of the video's clock to `end`.

    `end` is in seconds and defaults to the video's end. A track that starts late, has gaps or ends early is filled with
    silence. `extra_filters` follow at the end of the chain.
    """
    count = nearest_integer((presentation.grid.duration if end is None else end) * SAMPLE_RATE_HZ) - first_sample
    continuous = _continuous_filters(presentation, first_sample, count + _LIMITER_DELAY_SAMPLES)
    final = ",".join([*_limiter_filters(track, first_sample, count), *extra_filters])
    if track.right_index is None:
        return ["-map", f"0:{track.index}", "-af", f"{continuous},{stereo_downmix_filter(track)},{final}"]
    sides = [f"[0:{index}]{continuous},{MONO_FILTER}[side{index}]" for index in track.indexes]
    side_labels = "".join(f"[side{index}]" for index in track.indexes)
    output = f"[sound{track.index}]"
    return ["-filter_complex", ";".join([*sides, f"{side_labels}{_JOIN_FILTER},{final}{output}"]), "-map", output]


def _continuous_filters(presentation: Presentation, first_sample: int, count: int) -> str:
    """Return filters whose output has `count` samples without a gap, from a sample of the video's clock on."""
    origin = f"asetpts=PTS-({presentation.origin:.6f})/TB," if presentation.origin else ""
    resample = f"aresample={SAMPLE_RATE_HZ}"
    return (
        # Two steps, because the second one counts `first_pts` in samples of its input. It cuts off what comes earlier,
        # and cuts or fills where audio is off its time by more than the duration of a picture.
        f"{origin}{FLOAT_FILTER},{resample},{resample}:async=1:min_hard_comp={_MAX_DRIFT_S}:first_pts={first_sample},"
        # By samples, not by time: where no audio is left at all, silence would begin at 0.
        f"apad=whole_len={count},atrim=end_sample={count},asetpts=N+{first_sample}"
    )


def _limiter_filters(track: AudioTrack, first_sample: int, count: int) -> list[str]:
    """Return filters that attenuate peaks and output `count` samples, numbered from `first_sample`."""
    ceiling = _MIXED_CEILING if track.channels > 2 else _MASTERED_CEILING
    return [
        f"aresample={_LIMITER_RATE_HZ}",
        f"alimiter=limit={ceiling}:level=disabled:attack={_LOOK_AHEAD_MS}",
        f"aresample={SAMPLE_RATE_HZ}",
        f"atrim=start_sample={_LIMITER_DELAY_SAMPLES}:end_sample={count + _LIMITER_DELAY_SAMPLES}",
        f"asetpts=N+{first_sample}",
        "aformat=channel_layouts=stereo",
    ]


def count_frames_before(tick: int) -> int:
    """Return how many AAC frames begin before a tick of the video's clock; the first one begins at -1024 samples."""
    length = AAC_FRAME_SAMPLES * MPEG_CLOCK_HZ // SAMPLE_RATE_HZ
    return max(0, -(-tick // length) + 1)
