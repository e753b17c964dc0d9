"""How loud the published sound is: as loud as the source's dialogue, and never clipped."""

from __future__ import annotations

import array
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ffprobe, sample_videos
from tests.support.video_builder import VideoBuilder
from transcode import paths
from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.binaries import FfmpegBinaries

SECONDS = 6
NOISE = "2*random({0})-1"
SQUARES = "sgn(sin(2*PI*(220+110*{0})*t))"
BURSTS = "(2*random({0})-1)*exp(-30*mod(t,0.25))"
SINES = "sin(2*PI*12000*t+PI/4)"  # whose peaks lie between the samples


def make_presentation(
    tools: FfmpegBinaries, folder: Path, expressions: list[str], channels: str, *codec: str
) -> VideoBuilder:
    """A film whose channels sound like this; its sound is not made yet."""
    source = folder / "film.mkv"
    heard = ["-f", "lavfi", "-i", f"aevalsrc='{'|'.join(expressions)}':d={SECONDS}:s=48000:c={channels}"]
    picture = sample_videos.video_input("5", SECONDS)
    sample_videos.run_ffmpeg(tools, *picture, *heard, *sample_videos.H264, *(codec or sample_videos.PCM), str(source))
    film = VideoBuilder(folder / "media", source, tools)
    film.probe()
    return film


def measured(tools: FfmpegBinaries, film: VideoBuilder) -> tuple[float, float]:
    """Loudness in LUFS and true peak in dBTP of what is published (EBU R128)."""
    playlist = film.folder / "480p" / "index.m3u8"
    command = [tools.ffmpeg, "-hide_banner", "-nostats", "-nostdin", "-i", str(playlist), "-map", "0:a"]
    done = subprocess.run(
        [*command, "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"],
        capture_output=True, text=True, check=True, timeout=60, env=ffprobe.ENVIRONMENT,
    )  # fmt: skip
    loudness, peak = (re.findall(rf"{name}:\s+(-?[\d.]+)", done.stderr)[-1] for name in ("I", "Peak"))
    return float(loudness), float(peak)


@pytest.mark.parametrize("channels", ["5.1", "7.1"])
@pytest.mark.parametrize("signal", [NOISE, SQUARES, BURSTS, SINES], ids=["noise", "squares", "bursts", "sines"])
def test_a_mix_of_loud_channels_is_never_clipped(
    tools: FfmpegBinaries, tmp_path: Path, signal: str, channels: str
) -> None:
    count = {"5.1": 6, "7.1": 8}[channels]
    film = make_presentation(tools, tmp_path, [signal.format(number) for number in range(count)], channels)
    film.encode_audio()
    film.encode_chunks()
    loudness, peak = measured(tools, film)
    assert peak <= -1
    assert loudness > -20


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "ac3"])
def test_dialogue_is_as_loud_as_in_the_usual_mix(tools: FfmpegBinaries, tmp_path: Path, codec: str) -> None:
    """A voice in the centre is 3 dB quieter in both sides, which together are 3 dB louder (EBU Tech 3341)."""
    voice = f"{10 ** (-24 / 20):.4f}*sin(2*PI*1000*t)"  # -27 LUFS in one channel
    film = make_presentation(tools, tmp_path, ["0", "0", voice, "0", "0", "0"], "5.1", "-c:a", codec)
    film.encode_audio()
    film.encode_chunks()
    assert measured(tools, film)[0] == pytest.approx(-27, abs=0.4)


def test_stereo_that_is_not_at_its_limit_is_left_as_it_is(tools: FfmpegBinaries, tmp_path: Path) -> None:
    film = make_presentation(tools, tmp_path, ["0.7*sin(2*PI*1000*t)"] * 2, "stereo")
    film.encode_audio()
    film.encode_chunks()
    assert measured(tools, film)[0] == pytest.approx(-3.1, abs=0.3)


def test_sound_above_full_scale_is_brought_below_it(tools: FfmpegBinaries, tmp_path: Path) -> None:
    film = make_presentation(tools, tmp_path, ["4*sin(2*PI*1000*t)"] * 2, "stereo", "-c:a", "pcm_f32le")
    film.encode_audio()
    film.encode_chunks()
    assert measured(tools, film)[1] <= -1


def test_the_limiter_does_not_move_the_sound(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """By a click: where the source has it, to the sample."""
    film = make_presentation(tools, tmp_path, ["0.6*eq(n,96000)"] * 2, "stereo")
    film.encode_audio()
    film.encode_chunks()
    samples = ffprobe.decode_audio(tools, "-i", str(film.folder / "480p" / "index.m3u8"))[::2]
    loudest = max(range(len(samples)), key=lambda place: abs(samples[place]))
    assert loudest - ffprobe.AAC_FRAME == 96000


def test_a_loud_segment_that_is_encoded_alone_fits_its_neighbours(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """The limiter of a single segment knows only a moment of what was before it."""
    music = "sin(2*PI*220*t)*(0.3+0.7*lt(mod(t,0.5),0.1))"
    film = make_presentation(tools, tmp_path, [music] * 6, "5.1")
    film.encode_audio()
    film.encode_chunks()
    alone = VideoBuilder(tmp_path / "alone", film.source, tools, presentation_json=film.presentation_json)
    shutil.copytree(film.root, alone.root)
    shutil.rmtree(paths.chunk_audio_dir(alone.root, 1))
    alone.segment_paths()[1].unlink()
    alone.run_task("segment", 1, "480p")
    run, own = (_samples(tools, one) for one in (film, alone))
    assert len(own) == len(run)
    border = round(audio_filters.SAMPLE_RATE_HZ * film.presentation.grid.segment_start(1)) + ffprobe.AAC_FRAME
    places = range(border - 4800, border + 48_000)
    difference = sum((run[place] - own[place]) ** 2 for place in places)
    assert difference < sum(run[place] ** 2 for place in places) / 1000  # 30 dB below it


def _samples(tools: FfmpegBinaries, film: VideoBuilder) -> array.array[int]:
    return ffprobe.decode_audio(tools, "-i", str(film.folder / "480p" / "index.m3u8"))[::2]
