"""The wall-clock overhead of the engine over bare ffmpeg: python -m benchmarks.overhead FILE [--rounds 3]

Each round measures, one after the other: a running Videoflix, from the response to the upload until the video is
`ready`; and the same ffmpeg commands, as many at once, in the same order and with nothing between them: no ledger, no
pool, no database, no checks, no fsync. The difference is everything but ffmpeg's own time (at most 5 %). Most of it is
constant, namely the probe of some 0.8 s, so a video of 12 s shows more of it than one of minutes. Other load on the
machine affects one side or the other: run several rounds, on an idle machine. benchmarks/first_play.py --to-the-end
compares processor times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.transcode import encode_with_videoflix
from tests.support.videoflix_process import running_videoflix
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.process import FfmpegProcess
from transcode.hls.storyboard import Storyboard
from transcode.paths import segment_name
from transcode.presentation import Presentation
from transcode.probe import source
from transcode.probe.mpegts import first_picture_size
from transcode.tasks.audio import AudioPlan
from transcode.tasks.chunk import ChunkPlan
from transcode.tasks.encode import BATCH_LIMITS
from transcode.tasks.storyboard import StoryboardPlan
from transcode.tasks.thumbnail import ThumbnailPlan, candidate_times
from videoflix.embedded.binaries import find_ffmpeg_binaries

BINARIES = FfmpegBinaries(*find_ffmpeg_binaries())


@dataclass(frozen=True)
class BareFfmpeg:
    """The ffmpeg commands of the engine and nothing else, each in a folder of its own below `folder`."""

    presentation: Presentation
    video_path: Path
    folder: Path

    def run(self, argv: list[str], name: str) -> None:
        """Run one command in its folder."""
        place = self.folder / name
        for rendition in self.presentation.rendition_names:
            (place / rendition).mkdir(parents=True)
        FfmpegProcess([BINARIES.ffmpeg, *argv], place, BATCH_LIMITS).run()

    def run_all(self) -> float:
        """Run all commands. Return the seconds until the last one has ended."""
        begin = time.monotonic()
        with ThreadPoolExecutor(1) as aside, ThreadPoolExecutor(os.cpu_count()) as slots:
            sound = aside.submit(self.run, AudioPlan(self.presentation, self.video_path).argv(), "sound")
            first = ThumbnailPlan(self.presentation, candidate_times(self.presentation)[0], self.video_path)
            runs = [slots.submit(self.run, first.argv(), "thumbnail")]
            runs += [slots.submit(self.run_chunk, index, sound) for index in range(self.presentation.grid.chunk_count)]
            for one in (sound, *runs):
                one.result()
        self.run_storyboard()
        return time.monotonic() - begin

    def run_chunk(self, index: int, audio_task: Future[None]) -> None:
        """Encode a chunk as soon as its audio exists."""
        while not audio_task.done() and not (self.folder / "sound" / segment_name(index + 1)).exists():
            time.sleep(0.005)
        piece = self.folder / "sound" / segment_name(index)
        self.run(ChunkPlan(self.presentation, index, self.video_path, piece).argv(), f"chunk{index}")

    def run_storyboard(self) -> None:
        """Make the storyboard from the first frames of some segments, as the engine does."""
        board, grid = Storyboard(self.presentation.grid, self.presentation.renditions[0]), self.presentation.grid
        made = {
            number: self.folder / f"chunk{index}"
            for index in range(grid.chunk_count)
            for number in grid.chunk_segments(index)
        }
        pictures = self.folder / "pictures.ts"
        with pictures.open("wb") as collected:
            for number in board.segments:
                segment = made[number] / board.rendition.name / segment_name(number)
                collected.write(segment.read_bytes()[: first_picture_size(segment)])
        self.run(StoryboardPlan(board, pictures).argv(), "storyboard")


def measure_bare_ffmpeg(video_path: Path) -> float:
    """Measure bare ffmpeg, in seconds, for a video with audio that needs no remuxing."""
    timeline = source.build_presentation(source.describe_source(video_path, BINARIES))
    assert timeline.audio
    assert not timeline.remuxed
    with tempfile.TemporaryDirectory() as folder:
        return BareFfmpeg(timeline, video_path, Path(folder)).run_all()


def compare(video_path: Path, rounds: int) -> None:
    """Measure both sides in turn and print their ratio."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder, running_videoflix(Path(folder), "--no-demo") as site:
        site.banner()
        for _ in range(rounds):
            alone, whole = measure_bare_ffmpeg(video_path), encode_with_videoflix(site, video_path).duration_s
            ratios.append(whole / alone)
            print(
                f"{video_path.name}: {whole:.1f} s, ffmpeg alone {alone:.1f} s: "
                f"overhead {100 * (whole / alone - 1):+.1f} %"
            )
    print(f"{video_path.name}: median {100 * (statistics.median(ratios) - 1):+.1f} % (at most 5)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for file in options.file:
        compare(file.resolve(), options.rounds)
