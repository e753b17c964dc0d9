"""What the engine costs beside ffmpeg, as wall clock: python -m benchmarks.overhead FILE [--rounds 3]

In each round, one after the other: a running Videoflix, from the answer to the upload until the film is `ready`; and
the very ffmpeg runs that this takes, as many at once, in the same order and with nothing between them: no ledger, no
pool, no database, no checks, nothing written to the disk for certain. The difference is all of it but ffmpeg's own
time (at most 5 %). Most of it is fixed, the probe of some 0.8 s: a film of 12 s shows more of it than one of minutes.
Other work on the machine meets one side or the other: look at several rounds, on a quiet one. The processor time of
the two is told by benchmarks/first_play.py --to-the-end.
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

from benchmarks.transcode import ours
from tests.support.videoflix_process import running_videoflix
from transcode.hls.storyboard import Storyboard
from transcode.hls.transport import first_picture_size
from transcode.layout import segment_name
from transcode.plans.audio import AudioPlan
from transcode.plans.chunk import ChunkPlan
from transcode.plans.storyboard import StoryboardPlan
from transcode.plans.thumbnail import ThumbnailPlan
from transcode.runner import Run
from transcode.source import description
from transcode.tasks.ffmpeg import BULK
from transcode.tasks.thumbnail import moments
from transcode.timeline import Timeline
from transcode.tools import Tools
from videoflix.embedded.binaries import ffmpeg_tools

TOOLS = Tools(*ffmpeg_tools())


@dataclass(frozen=True)
class Bare:
    """The engine's ffmpeg runs in folders of their own below `folder`, nothing else."""

    timeline: Timeline
    film: Path
    folder: Path

    def run(self, argv: list[str], name: str) -> None:
        """One of them, in its folder."""
        place = self.folder / name
        for rendition in self.timeline.rendition_names:
            (place / rendition).mkdir(parents=True)
        Run([TOOLS.ffmpeg, *argv], place, BULK)()

    def all(self) -> float:
        """Seconds until the last one has ended."""
        begin = time.monotonic()
        with ThreadPoolExecutor(1) as aside, ThreadPoolExecutor(os.cpu_count()) as slots:
            sound = aside.submit(self.run, AudioPlan(self.timeline, self.film).argv(), "sound")
            first = ThumbnailPlan(self.timeline, moments(self.timeline)[0], self.film)
            runs = [slots.submit(self.run, first.argv(), "thumbnail")]
            runs += [slots.submit(self.chunk, index, sound) for index in range(self.timeline.grid.chunks)]
            for one in (sound, *runs):
                one.result()
        self.storyboard()
        return time.monotonic() - begin

    def chunk(self, index: int, sound: Future[None]) -> None:
        """As soon as its sound is there."""
        while not sound.done() and not (self.folder / "sound" / segment_name(index + 1)).exists():
            time.sleep(0.005)
        piece = self.folder / "sound" / segment_name(index)
        self.run(ChunkPlan(self.timeline, index, self.film, piece).argv(), f"chunk{index}")

    def storyboard(self) -> None:
        """From the first pictures of some segments, which are read here as by the engine."""
        board, grid = Storyboard(self.timeline.grid, self.timeline.renditions[0]), self.timeline.grid
        made = {number: self.folder / f"chunk{index}" for index in range(grid.chunks) for number in grid.chunk(index)}
        pictures = self.folder / "pictures.ts"
        with pictures.open("wb") as collected:
            for number in board.segments:
                segment = made[number] / board.rendition.name / segment_name(number)
                collected.write(segment.read_bytes()[: first_picture_size(segment)])
        self.run(StoryboardPlan(board, pictures).argv(), "storyboard")


def bare(film: Path) -> float:
    """Seconds. A film with sound that needs no remux."""
    timeline = description.timeline(description.describe(film, TOOLS))
    assert timeline.audio
    assert not timeline.remuxed
    with tempfile.TemporaryDirectory() as folder:
        return Bare(timeline, film, Path(folder)).all()


def compare(film: Path, rounds: int) -> None:
    """Both sides in turn, and their ratio."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder, running_videoflix(Path(folder), "--no-demo") as site:
        site.banner()
        for _ in range(rounds):
            alone, whole = bare(film), ours(site, film).seconds
            ratios.append(whole / alone)
            print(
                f"{film.name}: {whole:.1f} s, ffmpeg alone {alone:.1f} s: overhead {100 * (whole / alone - 1):+.1f} %"
            )
    print(f"{film.name}: median {100 * (statistics.median(ratios) - 1):+.1f} % (at most 5)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for one in given.film:
        compare(one.resolve(), given.rounds)
