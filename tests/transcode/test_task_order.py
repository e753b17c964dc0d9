"""The order in which a real ledger hands out the tasks of several videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tests.support.workers import open_ledger
from transcode import task_graph
from transcode.grid import Grid
from transcode.ladder import build_ladder
from transcode.ledger import Lease, Queue
from transcode.presentation import Presentation, VideoTrack
from transcode.repository import VideoRecord

FPS = Fraction(25)


async def test_short_videos_overtake_long_ones_which_finish_in_turn(redis_url: str) -> None:
    films = {1: Grid(FPS, 25 * 900), 2: Grid(FPS, 25 * 900), 3: Grid(FPS, 25 * 300)}
    async with open_ledger(redis_url) as ledger:
        for film, grid in films.items():
            timeline = Presentation(grid, build_ladder(64, 36, FPS), VideoTrack(0, 64, 36))
            known = VideoRecord(film, "film.mp4", timeline, frozenset(), frozenset())
            await ledger.start(film, task_graph.initial_tasks(known, Path()), task_graph.finalize_task())
        taken: list[tuple[int, int]] = []
        while isinstance(lease := await ledger.claim([Queue.BATCH], "w"), Lease):
            if lease.kind == "chunk":
                taken.append((lease.video_id, lease.index))
            await ledger.complete(lease, {})
    assert taken[:4] == [(1, 0), (2, 0), (3, 0), (1, 1)]
    last = {film: taken.index((film, grid.chunk_count - 1)) for film, grid in films.items()}
    assert last[3] < last[1] < last[2]
    assert {film for film, _ in taken[last[1] + 1 :]} == {2}
