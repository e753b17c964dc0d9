"""Bit rates of playlists: exact ones of finished segments, and estimates while a video is encoded."""

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


def test_rates_take_a_time_that_is_linear_in_the_number_of_segments() -> None:
    def spent(count: int) -> float:
        sizes, lengths = list(range(count)), [Fraction(4004, 1000)] * count
        begun = time.process_time()
        bandwidth.measure_rates(sizes, lengths, 4)
        return time.process_time() - begun

    spent(1000)
    assert spent(40_000) < 40 * max(spent(4000), 0.002)


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 400)), min_size=1, max_size=12), st.integers(1, 6)
)  # fmt: skip
def test_the_peak_is_that_of_the_worst_run_about_one_target_long(pieces: list[tuple[int, int]], target: int) -> None:
    sizes, lengths = [size for size, _ in pieces], [Fraction(frames, 30) for _, frames in pieces]
    runs = [(first, after) for after in range(1, len(pieces) + 1) for first in range(after)]
    found = [
        sum(sizes[first:after]) * 8 / sum(lengths[first:after])
        for first, after in runs
        if Fraction(target, 2) <= sum(lengths[first:after]) <= Fraction(3 * target, 2)
    ]
    rates = bandwidth.measure_rates(sizes, lengths, target)
    average = sum(sizes) * 8 / sum(lengths)
    assert rates.average == pytest.approx(float(average), abs=1.1)
    assert rates.peak == pytest.approx(float(max([average, *found])), abs=1.1)


CAP = bandwidth.Rates(9_600_000, 4_800_000)


@given(st.dictionaries(st.integers(0, 99), st.integers(1, 8_000_000), min_size=1))
def test_an_estimate_lies_between_what_is_measured_and_the_caps(sizes: dict[int, int]) -> None:
    grid = Grid(Fraction(25), 100 * 100)
    found, measured = bandwidth.estimate_rates(sizes, grid, CAP), bandwidth.measure_segments(sizes, grid)
    assert measured.peak <= found.peak <= max(CAP.peak, measured.peak)
    assert measured.average <= found.average <= found.peak


def said_of(film: Callable[[int], float]) -> tuple[list[bandwidth.Rates], bandwidth.Rates]:
    """Of half an hour whose segments take so many bytes: the estimates, one after each chunk, and the exact values."""
    grid, sizes = Grid(Fraction(25), 25 * 1800), dict[int, int]()
    said = [bandwidth.estimate_rates(sizes, grid, CAP)]
    for chunk in range(grid.chunk_count):
        sizes |= {number: round(film(number)) for number in grid.chunk_segments(chunk)}
        said.append(bandwidth.estimate_rates(sizes, grid, CAP))
    assert len(said) > 50
    return said, bandwidth.measure_segments(sizes, grid)


def changes(said: list[bandwidth.Rates]) -> int:
    return sum(one != other for one, other in itertools.pairwise(said))


def test_estimates_come_down_to_an_ordinary_video_in_few_steps() -> None:
    """Some 2.4 Mbit/s with scenes of twice as much, after a minute of black."""
    chance = random.Random(4)
    said, exact = said_of(lambda number: 20_000 if number < 15 else 1_200_000 * chance.uniform(0.5, 2.0))
    assert said[4].peak > 2_000_000  # black says little
    for late in (said[10], said[30], said[-1]):
        assert exact.average / 1.2 <= late.average <= 1.4 * exact.average
        assert exact.peak / 1.1 <= late.peak <= 1.4 * exact.peak
    assert changes(said) <= 10


def test_estimates_of_a_video_that_takes_more_than_its_caps_change_seldom() -> None:
    chance = random.Random(4)
    assert changes(said_of(lambda number: 2_500_000 * chance.uniform(0.5, 2.0))[0]) <= 15
