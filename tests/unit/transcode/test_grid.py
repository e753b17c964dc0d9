"""The segment grid: lengths, borders and chunks of every video."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcode.grid import Grid, choose_frame_rate, nearest_integer


@given(st.integers(1, 2000), st.sampled_from(["1", "7/3", "10", "12.5", "24000/1001", "24", "25", "30000/1001", "60"]))
def test_no_segment_is_longer_than_the_target_when_rounded(frames: int, fps: str) -> None:
    """RFC 8216, 4.3.3.1; the 0.5 s are Apple's."""
    grid = Grid(Fraction(fps), frames)
    lengths = [grid.segment_duration(number) for number in range(grid.segment_count)]
    assert sum(lengths) == grid.duration
    assert all(int(length + Fraction(1, 2)) <= grid.target_duration and length > 0 for length in lengths)


@pytest.mark.parametrize(
    ("average", "nominal", "rate"),
    [
        ("25", "25", "25"), ("29.97", "0", "30000/1001"), ("23.976", "24000/1001", "24000/1001"), ("24", "24", "24"),
        ("0", "0", "25"), ("0", "50", "50"), ("120", "120", "60"), ("240", "240", "60"), ("60.01", "0", "60"),
        ("7", "7", "7"), ("7", "90000", "10"), ("27", "30", "25"), ("1/2", "1/2", "10"),
    ],
)  # fmt: skip
def test_a_source_keeps_its_rate_or_gets_the_nearest_standard_one(average: str, nominal: str, rate: str) -> None:
    assert choose_frame_rate(Fraction(average), Fraction(nominal)) == Fraction(rate)


@pytest.mark.parametrize(
    ("frames", "segments", "last", "target"),
    [(1, 1, "1/25", 1), (100, 1, "4", 4), (101, 2, "1/25", 4), (1500, 15, "4", 4), (30, 1, "6/5", 1)],
)
def test_a_segment_lasts_four_seconds_and_the_last_one_the_rest(
    frames: int, segments: int, last: str, target: int
) -> None:
    grid = Grid(Fraction(25), frames)
    assert (grid.segment_count, grid.segment_duration(segments - 1), grid.target_duration) == (
        segments,
        Fraction(last),
        target,
    )
    assert grid.segment_start(grid.segment_count) == grid.duration


def test_chunks_grow_from_one_segment_to_eight_and_hold_each_once() -> None:
    grid = Grid(Fraction(25), 25 * 100)
    assert [len(grid.chunk_segments(index)) for index in range(grid.chunk_count)] == [1, 2, 4, 8, 8, 2]
    assert [number for index in range(grid.chunk_count) for number in grid.chunk_segments(index)] == list(
        range(grid.segment_count)
    )
    assert all(number in grid.chunk_segments(grid.chunk_of(number)) for number in range(grid.segment_count))


def test_a_segment_is_cut_at_the_decoding_time_of_its_first_frame() -> None:
    assert [Grid(Fraction(25), 1000).cut_tick(number) for number in (0, 1)] == [-7200, 352_800]


@pytest.mark.parametrize(("value", "rounded"), [("1/2", 1), ("-1/2", -1), ("5/2", 3), ("12/5", 2), ("-12/5", -2)])
def test_halves_are_rounded_away_from_zero(value: str, rounded: int) -> None:
    assert nearest_integer(Fraction(value)) == rounded
