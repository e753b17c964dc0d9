"""Which tasks follow from what is known of a film."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from transcode import paths, task_graph
from transcode.grid import Grid
from transcode.ladder import build_ladder
from transcode.ledger import NewTask, Queue
from transcode.presentation import AudioTrack, Presentation, SubtitleTrack, VideoTrack
from transcode.repository import VideoRecord

FPS = Fraction(25)


def entry(tracks: int = 1, texts: int = 0, chunks: Iterable[int] = (), kinds: Iterable[str] = ()) -> VideoRecord:
    """A film of 60 seconds: 15 segments in four chunks."""
    timeline = Presentation(
        Grid(FPS, 1500),
        build_ladder(64, 36, FPS),
        VideoTrack(0, 64, 36),
        tuple(AudioTrack(number + 1, 2) for number in range(tracks)),
        tuple(SubtitleTrack(number + 9) for number in range(texts)),
    )
    return VideoRecord(1, "film.mp4", timeline, frozenset(chunks), frozenset(kinds))


def ids(tasks: list[NewTask]) -> list[str]:
    return [task.id for task in tasks]


def test_a_video_of_which_nothing_is_known_is_probed(tmp_path: Path) -> None:
    assert ids(task_graph.initial_tasks(VideoRecord(1, "film.mp4", None, frozenset(), frozenset()), tmp_path)) == [
        "probe"
    ]


def test_chunks_wait_for_their_sound(tmp_path: Path) -> None:
    assert ids(task_graph.initial_tasks(entry(), tmp_path)) == ["thumbnail", "audio"]
    assert ids(task_graph.unblocked_chunks(entry(), 0, 2)) == ["chunk:0000", "chunk:0001"]
    assert ids(task_graph.unblocked_chunks(entry(chunks={2}), 1, 4)) == ["chunk:0001", "chunk:0003"]
    assert ids(task_graph.follow_ups("audio", entry(chunks={0, 1}), tmp_path)) == ["chunk:0002", "chunk:0003"]


def test_a_silent_video_waits_for_nothing(tmp_path: Path) -> None:
    chunks = [f"chunk:{number:04d}" for number in range(4)]
    assert ids(task_graph.follow_ups("probe", entry(tracks=0), tmp_path)) == ["thumbnail", *chunks]


def test_optional_tracks_and_subtitles_wait_for_the_audio(tmp_path: Path) -> None:
    known = entry(tracks=3, texts=2)
    assert ids(task_graph.initial_tasks(known, tmp_path)) == ["thumbnail", "audio"]
    subtitles, tracks, *chunks = task_graph.follow_ups("audio", known, tmp_path)
    assert (subtitles.id, tracks.id, len(chunks)) == ("subtitles", "tracks", 4)
    assert all(task.optional and task.queue is Queue.BATCH for task in (subtitles, tracks))
    # The picture's beginning goes before them.
    assert chunks[0].priority < subtitles.priority < tracks.priority


def test_subtitles_of_a_silent_video_wait_for_nothing(tmp_path: Path) -> None:
    assert ids(task_graph.initial_tasks(entry(tracks=0, texts=1), tmp_path))[:3] == [
        "thumbnail",
        "subtitles",
        "chunk:0000",
    ]


def test_open_tasks_beside_the_chunks_are_resumed_after_a_restart(tmp_path: Path) -> None:
    known = entry(tracks=2, texts=1, chunks=range(4), kinds={"thumbnail", "audio", "subtitles"})
    assert ids(task_graph.initial_tasks(known, tmp_path)) == ["tracks"]


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    known = entry(tracks=2, texts=1, chunks={0, 1, 2}, kinds={"thumbnail", "subtitles", "tracks", "audio"})
    assert ids(task_graph.initial_tasks(known, tmp_path)) == [
        "audio"
    ]  # its sound was cleared away with a dead worker's scratch
    paths.chunk_audio_dir(tmp_path, 1).mkdir(parents=True)
    paths.chunk_audio_path(tmp_path, 1, 3).touch()
    assert ids(task_graph.initial_tasks(known, tmp_path)) == ["chunk:0003"]


def test_weights_are_all_there_is_and_what_of_it_is_done() -> None:
    total, base = task_graph.weights(entry(tracks=2, texts=1))
    assert base == 0
    assert total == pytest.approx(60 + 2 * 60 / 50 + 60 / 500 + 0.5)
    _, base = task_graph.weights(entry(tracks=2, texts=1, chunks={0}, kinds={"tracks", "thumbnail"}))
    assert base == pytest.approx(4 + 60 / 50 + 0.5)
    everything = entry(
        tracks=2, texts=1, chunks={0, 1, 2, 3}, kinds={"tracks", "thumbnail", "subtitles", "audio", "finish"}
    )
    assert task_graph.weights(everything)[0] == pytest.approx(task_graph.weights(everything)[1])
