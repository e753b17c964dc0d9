"""The frame rate of the grid for sources of every cadence: no picture is lost that a screen could show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support import sample_videos
from tests.support.sample_videos import luma_of
from tests.support.video_builder import VideoBuilder
from tests.support.video_factory import build_and_inspect
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.grid import fit_frame_rate

FILM_RATE = Fraction(24000, 1001)
NTSC_RATE = Fraction(30000, 1001)


def fitted_rate(times: Sequence[float], average: Fraction, nominal: Fraction | None = None) -> Fraction:
    """Return the rate that the probe would choose."""
    return fit_frame_rate(times, times[0] if times else 0, average, nominal or average)[0]


def regular_times(rate: Fraction | int, seconds: float, start: float = 0) -> list[float]:
    """Return the times of pictures at a constant rate."""
    return [start + float(number / Fraction(rate)) for number in range(round(seconds * rate))]


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (75, 60), (90, 60), (144, 48), (72, 60), (85, 60), (100, 50), (120, 60), (165, 55), (240, 60),
        (1000, 1000 / 17),
        (Fraction(120000, 1001), Fraction(60000, 1001)), (Fraction(17, 2), Fraction(17, 2)), (60, 60), (25, 25),
    ],
)  # fmt: skip
def test_rates_above_60_become_60_or_a_whole_fraction(rate: Fraction, shown: float) -> None:
    found = fitted_rate(regular_times(rate, 10), Fraction(rate))
    assert float(found) == pytest.approx(float(shown), rel=0.01)


@pytest.mark.parametrize(
    ("times", "average", "shown"),
    [
        (regular_times(30, 10) + regular_times(5, 10, 10), Fraction(35, 2), 30),
        (regular_times(60, 5) + regular_times(30, 20, 5), Fraction(36), 60),
        ([*regular_times(25, 10), *range(10, 200)], Fraction(440, 200), 25),
        (regular_times(24, 60) + regular_times(NTSC_RATE, 60, 60), Fraction(27), 60),
        (regular_times(1, 100) + regular_times(15, 10, 100), Fraction(250, 110), 15),
        (regular_times(50, 10) + regular_times(25, 50, 10), Fraction(175, 6), 50),
        (regular_times(144, 5) + regular_times(30, 5, 5), Fraction(87), 60),
        ([0.0, 10.0, 14.9], Fraction(1, 5), 10),
        ([0.0], Fraction(25), 25),
        ([], Fraction(0), 25),
    ],
    ids=["bursts", "slow_motion", "slides", "mixed", "slow", "half", "gaming", "three", "one", "none"],
)
def test_the_slowest_rate_that_loses_hardly_anything_is_chosen(
    times: list[float], average: Fraction, shown: int
) -> None:
    rate = fitted_rate(times, average)
    assert float(rate) <= shown * 1.001
    places = {round((time - (times or [0])[0]) * float(rate)) for time in times}
    if shown < 60:
        assert float(rate) == pytest.approx(shown, rel=0.002)
        assert len(places) >= 0.99 * len(times)


def test_rounded_clocks_and_single_lost_pictures_keep_the_rate() -> None:
    rounded = [round(time, 3) for time in regular_times(Fraction(60000, 1001), 60)]
    assert fitted_rate(rounded, Fraction(60000, 1001)) == Fraction(60000, 1001)
    dropped = [time for number, time in enumerate(regular_times(30, 60)) if number % 400 != 7]
    assert fitted_rate(dropped, Fraction(29925, 1000), Fraction(30)) == 30


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("phone", lambda frame: frame < 150 or frame % 5),
        ("screen", lambda frame: frame % 240 < 60 or frame % 30 == 0),
    ],
)
def test_every_picture_of_a_variable_rate_is_kept(
    tools: FfmpegBinaries, tmp_path: Path, name: str, is_there: Callable[[int], object]
) -> None:
    source = tmp_path / "video.mp4"
    chosen = {"phone": "lt(n,150)+mod(n,5)", "screen": "lt(mod(n,240),60)+not(mod(n,30))"}[name]
    video = sample_videos.video_input("30", 10, filters=f"select='{chosen}'")
    sample_videos.run_ffmpeg(tools, *video, *sample_videos.H264, "-bf", "0", "-fps_mode", "vfr", str(source))
    inspected = build_and_inspect(tools, source, tmp_path)
    assert inspected.builder.presentation.grid.fps == 30
    kept = [frame for frame in range(300) if is_there(frame)]
    lost = [frame for frame in kept if abs(inspected.decoded.luma[frame] - luma_of(frame)) > 4]
    assert not lost


def add_pulldown_flags(video: bytes, frames: int) -> bytes:
    """Return an MPEG-2 elementary stream of 24000/1001 whose flags request 3:2 pulldown for its first frames."""
    data = bytearray(video)
    for match in re.finditer(rb"\x00\x00\x01\xb3", video):  # sequence header: frame_rate_code 30000/1001
        data[match.start() + 7] = data[match.start() + 7] & 0xF0 | 4
    for match in re.finditer(rb"\x00\x00\x01\xb5[\x10-\x1f]", video):  # sequence extension: not progressive_sequence
        data[match.start() + 5] &= ~0x08
    # Picture coding extensions, with the flags of ISO/IEC 13818-2, 6.2.3.1.
    extensions = re.finditer(rb"\x00\x00\x01\xb5[\x80-\x8f]", video)
    for number, match in zip(range(frames), extensions, strict=False):
        offset = match.start() + 7
        top_field_first, repeat_first_field = number % 4 in (0, 1), number % 2 == 0
        data[offset] = data[offset] & 0x7D | 0x80 * top_field_first | 0x02 * repeat_first_field
    return bytes(data)


def make_telecined_source(tools: FfmpegBinaries, folder: Path, suffix: str, film_frames: int, frames: int) -> Path:
    """Write a source whose first frames have pulldown flags and whose others have 30000/1001; return its path."""
    stream, source = folder / "video.m2v", folder / f"video.{suffix}"
    options = ["-c:v", "mpeg2video", "-q:v", "2", "-g", "12", "-sc_threshold", "1000000000"]
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input("24000/1001", float(frames / FILM_RATE)), *options, str(stream)
    )
    stream.write_bytes(add_pulldown_flags(stream.read_bytes(), film_frames))
    clock = {"ts": 90_000, "mkv": 1000}[suffix]
    fields = f"if(lt(N\\,{film_frames})\\,5*floor(N/2)+3*mod(N\\,2)\\,2*N+{film_frames // 2})"
    times = f"round({fields}*1001/60000*{clock})"
    again = ["-c", "copy", "-bsf:v", f"setts=pts={times}:dts={times}", str(source)]
    sample_videos.run_ffmpeg(tools, "-f", "mpegvideo", "-i", str(stream), *again)
    return source


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_telecined_film_gets_its_own_rate_back(tools: FfmpegBinaries, tmp_path: Path, suffix: str) -> None:
    inspected = build_and_inspect(tools, make_telecined_source(tools, tmp_path, suffix, 144, 144), tmp_path)
    assert (inspected.builder.presentation.grid.fps, inspected.builder.presentation.grid.frame_count) == (
        FILM_RATE,
        144,
    )
    assert list(inspected.decoded.luma) == pytest.approx([luma_of(frame) for frame in range(144)], abs=4)


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_film_that_is_telecined_in_parts_keeps_every_picture(
    tools: FfmpegBinaries, tmp_path: Path, suffix: str
) -> None:
    inspected = build_and_inspect(tools, make_telecined_source(tools, tmp_path, suffix, 72, 144), tmp_path)
    grid = inspected.builder.presentation.grid
    assert grid.fps in (NTSC_RATE, 2 * NTSC_RATE)
    for frame in range(144):
        fields = 5 * (frame // 2) + 3 * (frame % 2) if frame < 72 else 2 * frame + 36
        position = fields * float(grid.fps) * 1001 / 60000
        nearby = inspected.decoded.luma[max(0, int(position)) : int(position) + 2]
        assert any(abs(luma - luma_of(frame)) <= 4 for luma in nearby), frame


def test_a_gigantic_video_is_sampled_in_places(
    tools: FfmpegBinaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcode.probe.sampling._MAX_LISTED_BYTES", 0)
    source = tmp_path / "video.mkv"
    video = sample_videos.video_input("30", 200, filters="select='lt(mod(n,900),100)+not(mod(n,30))'")
    sample_videos.run_ffmpeg(tools, *video, *sample_videos.H264, "-bf", "0", "-fps_mode", "vfr", str(source))
    assert VideoBuilder(tmp_path / "media", source, tools).probe().grid.fps == 30
