"""Kinds of tasks: each has a function, and their stored values stay."""

from __future__ import annotations

from transcode.task_kinds import TaskKind
from transcode.tasks.registry import TASKS


def test_every_kind_of_task_has_a_function() -> None:
    assert TASKS.keys() == set(TaskKind)


def test_the_stored_values_of_kinds_stay() -> None:
    assert {str(kind) for kind in TaskKind} == {
        "probe", "audio", "chunk", "segment", "thumbnail", "tracks", "subtitles", "loudness", "iframes", "storyboard",
        "finish",
    }  # fmt: skip
