"""The loudness of published audio: dialogue is as loud as in the source, and nothing is clipped."""

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


def make_video(tools: FfmpegBinaries, folder: Path, expressions: list[str], channels: str, *codec: str) -> VideoBuilder:
    """Return a probed video whose channels hold these signals; its audio is not encoded yet."""
    source = folder / "video.mkv"
    audio = ["-f", "lavfi", "-i", f"aevalsrc='{'|'.join(expressions)}':d={SECONDS}:s=48000:c={channels}"]
    picture = sample_videos.video_input("5", SECONDS)
    sample_videos.run_ffmpeg(tools, *picture, *audio, *sample_videos.H264, *(codec or sample_videos.PCM), str(source))
    video = VideoBuilder(folder / "media", source, tools)
    video.probe()
    return video


def measure_loudness(tools: FfmpegBinaries, video: VideoBuilder) -> tuple[float, float]:
    """Return loudness in LUFS and true peak in dBTP of the published audio (EBU R128)."""
    playlist = video.folder / "480p" / "index.m3u8"
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
    video = make_video(tools, tmp_path, [signal.format(number) for number in range(count)], channels)
    video.encode_audio()
    video.encode_chunks()
    loudness, peak = measure_loudness(tools, video)
    assert peak <= -1
    assert loudness > -20


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "ac3"])
def test_dialogue_is_as_loud_as_in_the_usual_mix(tools: FfmpegBinaries, tmp_path: Path, codec: str) -> None:
    """A voice in the centre is 3 dB quieter in both sides, which together are 3 dB louder (EBU Tech 3341)."""
    voice = f"{10 ** (-24 / 20):.4f}*sin(2*PI*1000*t)"  # -27 LUFS in one channel
    video = make_video(tools, tmp_path, ["0", "0", voice, "0", "0", "0"], "5.1", "-c:a", codec)
    video.encode_audio()
    video.encode_chunks()
    assert measure_loudness(tools, video)[0] == pytest.approx(-27, abs=0.4)


def test_stereo_that_is_not_at_its_limit_is_left_as_it_is(tools: FfmpegBinaries, tmp_path: Path) -> None:
    video = make_video(tools, tmp_path, ["0.7*sin(2*PI*1000*t)"] * 2, "stereo")
    video.encode_audio()
    video.encode_chunks()
    assert measure_loudness(tools, video)[0] == pytest.approx(-3.1, abs=0.3)


def test_sound_above_full_scale_is_brought_below_it(tools: FfmpegBinaries, tmp_path: Path) -> None:
    video = make_video(tools, tmp_path, ["4*sin(2*PI*1000*t)"] * 2, "stereo", "-c:a", "pcm_f32le")
    video.encode_audio()
    video.encode_chunks()
    assert measure_loudness(tools, video)[1] <= -1


def test_the_limiter_does_not_move_the_sound(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """A click stays where the source has it, to the sample."""
    video = make_video(tools, tmp_path, ["0.6*eq(n,96000)"] * 2, "stereo")
    video.encode_audio()
    video.encode_chunks()
    samples = ffprobe.decode_audio(tools, "-i", str(video.folder / "480p" / "index.m3u8"))[::2]
    loudest = max(range(len(samples)), key=lambda index: abs(samples[index]))
    assert loudest - ffprobe.AAC_FRAME == 96000


def test_a_loud_segment_that_is_encoded_alone_fits_its_neighbours(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """The limiter of a single segment sees only a moment of the audio before it."""
    music = "sin(2*PI*220*t)*(0.3+0.7*lt(mod(t,0.5),0.1))"
    video = make_video(tools, tmp_path, [music] * 6, "5.1")
    video.encode_audio()
    video.encode_chunks()
    alone = VideoBuilder(tmp_path / "alone", video.source, tools, presentation_json=video.presentation_json)
    shutil.copytree(video.root, alone.root)
    shutil.rmtree(paths.chunk_audio_dir(alone.root, 1))
    alone.segment_paths()[1].unlink()
    alone.run_task("segment", 1, "480p")
    whole, single = (_decode_left(tools, built) for built in (video, alone))
    assert len(single) == len(whole)
    border = round(audio_filters.SAMPLE_RATE_HZ * video.presentation.grid.segment_start(1)) + ffprobe.AAC_FRAME
    indexes = range(border - 4800, border + 48_000)
    difference = sum((whole[index] - single[index]) ** 2 for index in indexes)
    assert difference < sum(whole[index] ** 2 for index in indexes) / 1000  # 30 dB below it


def _decode_left(tools: FfmpegBinaries, video: VideoBuilder) -> array.array[int]:
    return ffprobe.decode_audio(tools, "-i", str(video.folder / "480p" / "index.m3u8"))[::2]
