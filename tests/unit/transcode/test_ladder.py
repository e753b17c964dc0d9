"""The ladder: which renditions a video gets, and how many bits each may take."""

from __future__ import annotations

from fractions import Fraction

import pytest

from transcode.ffmpeg import x264
from transcode.grid import Grid
from transcode.ladder import RESOLUTIONS, build_ladder


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((3840, 2160), ["480p", "720p", "1080p"]), ((1920, 1080), ["480p", "720p", "1080p"]),
        ((1920, 800), ["480p", "720p", "1080p"]), ((1080, 1920), ["480p", "720p", "1080p"]),
        ((1280, 720), ["480p", "720p"]), ((720, 576), ["480p"]), ((320, 240), ["480p"]), ((16, 9000), ["480p"]),
        ((3840, 200), ["480p"]), ((1920, 540), ["480p", "720p"]), ((200, 3840), ["480p"]),
    ],
)  # fmt: skip
def test_no_rendition_is_larger_than_its_source(size: tuple[int, int], names: list[str]) -> None:
    renditions = build_ladder(*size, Fraction(25))
    assert [rendition.name for rendition in renditions] == names
    assert len({(rendition.width, rendition.height) for rendition in renditions}) == len(renditions)
    for rendition in renditions:
        assert rendition.width % 2 == rendition.height % 2 == 0
        assert rendition.width <= max(16, size[0])
        assert rendition.height <= max(16, size[1])


@pytest.mark.parametrize(
    ("size", "fps", "described"),
    [
        ((1920, 1080), "25", ["854x480 3.0", "1280x720 3.1", "1920x1080 4.0"]),
        ((1920, 1080), "60", ["854x480 3.1", "1280x720 3.2", "1920x1080 4.2"]),
        ((1080, 1920), "25", ["480x854 3.0", "720x1280 3.1", "1080x1920 4.0"]),
        ((1280, 712), "25", ["862x480 3.0", "1280x712 3.1"]),
        ((64, 36), "25", ["64x36 3.0"]),
        ((1, 1), "25", ["16x16 3.0"]),
    ],
)
def test_sizes_are_even_and_the_level_fits(size: tuple[int, int], fps: str, described: list[str]) -> None:
    renditions = build_ladder(*size, Fraction(fps))
    assert [f"{rendition.width}x{rendition.height} {rendition.level}" for rendition in renditions] == described


def test_more_than_30_frames_a_second_may_take_more_bits() -> None:
    slow, fast = (build_ladder(1280, 720, Fraction(fps))[-1].cap for fps in (30, 60))
    assert fast == slow * 7 // 5


def test_the_codec_names_the_profile_and_the_level() -> None:
    assert [rendition.codec for rendition in build_ladder(1920, 1080, Fraction(25))] == [
        "avc1.64001e",
        "avc1.64001f",
        "avc1.640028",
    ]


def test_the_encoder_has_options_for_every_rendition() -> None:
    ladder = build_ladder(7680, 4320, Fraction(25))
    assert tuple(rendition.name for rendition in ladder) == RESOLUTIONS
    for rendition in ladder:
        assert "-crf" in x264.options(rendition, Grid(Fraction(25), 1000), x264.Quality.BATCH)
