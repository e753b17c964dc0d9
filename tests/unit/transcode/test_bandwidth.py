"""Bit rates in playlists: exact for finished segments, estimated while a video is encoded."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcode.grid import Grid
from transcode.hls import bandwidth


def test_measuring_takes_time_linear_in_the_number_of_segments() -> None:
    def measure_seconds(count: int) -> float:
        sizes, durations = list(range(count)), [Fraction(4004, 1000)] * count
        started = time.process_time()
        bandwidth.measure_rates(sizes, durations, 4)
        return time.process_time() - started

    measure_seconds(1000)
    assert measure_seconds(40_000) < 40 * max(measure_seconds(4000), 0.002)


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 400)), min_size=1, max_size=12), st.integers(1, 6)
)  # fmt: skip
def test_the_peak_is_that_of_the_worst_run_about_one_target_long(segments: list[tuple[int, int]], target: int) -> None:
    sizes, durations = [size for size, _ in segments], [Fraction(frames, 30) for _, frames in segments]
    runs = [slice(first, end) for end in range(1, len(segments) + 1) for first in range(end)]
    run_rates = [
        sum(sizes[run]) * 8 / sum(durations[run])
        for run in runs
        if Fraction(target, 2) <= sum(durations[run]) <= Fraction(3 * target, 2)
    ]
    rates = bandwidth.measure_rates(sizes, durations, target)
    average = sum(sizes) * 8 / sum(durations)
    assert rates.average == pytest.approx(float(average), abs=1.1)
    assert rates.peak == pytest.approx(float(max([average, *run_rates])), abs=1.1)


CAP = bandwidth.Rates(9_600_000, 4_800_000)


@given(st.dictionaries(st.integers(0, 99), st.integers(1, 8_000_000), min_size=1))
def test_an_estimate_lies_between_the_measured_rates_and_the_caps(sizes: dict[int, int]) -> None:
    grid = Grid(Fraction(25), 100 * 100)
    estimate, measured = bandwidth.estimate_rates(sizes, grid, CAP), bandwidth.measure_segments(sizes, grid)
    assert measured.peak <= estimate.peak <= max(CAP.peak, measured.peak)
    assert measured.average <= estimate.average <= estimate.peak


def estimate_after_each_chunk(segment_size: Callable[[int], float]) -> tuple[list[bandwidth.Rates], bandwidth.Rates]:
    """Return the estimates before and after each chunk of half an hour, and the exact rates."""
    grid, sizes = Grid(Fraction(25), 25 * 1800), dict[int, int]()
    estimates = [bandwidth.estimate_rates(sizes, grid, CAP)]
    for chunk in range(grid.chunk_count):
        sizes |= {number: round(segment_size(number)) for number in grid.chunk_segments(chunk)}
        estimates.append(bandwidth.estimate_rates(sizes, grid, CAP))
    assert len(estimates) > 50
    return estimates, bandwidth.measure_segments(sizes, grid)


def count_changes(estimates: list[bandwidth.Rates]) -> int:
    return sum(before != after for before, after in itertools.pairwise(estimates))


def test_estimates_approach_an_ordinary_video_in_few_steps() -> None:
    """The video has some 2.4 Mbit/s with scenes of twice as much, after a minute of black."""
    chance = random.Random(4)
    estimates, exact = estimate_after_each_chunk(
        lambda number: 20_000 if number < 15 else 1_200_000 * chance.uniform(0.5, 2.0)
    )
    assert estimates[4].peak > 2_000_000  # black says little about the rest
    for late in (estimates[10], estimates[30], estimates[-1]):
        assert exact.average / 1.2 <= late.average <= 1.4 * exact.average
        assert exact.peak / 1.1 <= late.peak <= 1.4 * exact.peak
    assert count_changes(estimates) <= 10


def test_estimates_of_a_video_above_its_caps_change_seldom() -> None:
    chance = random.Random(4)
    assert count_changes(estimate_after_each_chunk(lambda number: 2_500_000 * chance.uniform(0.5, 2.0))[0]) <= 15
