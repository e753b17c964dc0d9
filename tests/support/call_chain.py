"""Counts the coroutines of the project that lie between two points of a request, across tasks."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PACKAGES = tuple(f"{_ROOT / package}/" for package in ("handlers", "videoflix", "transcode"))


def running_frames() -> list[str]:
    """Return the project's frames on the current stack, the outermost first, as `path:function`."""
    return _describe((frame.filename, frame.name) for frame in traceback.extract_stack())


def waiting_frames(task: asyncio.Task[Any]) -> list[str]:
    """Return the project's coroutines in which a suspended task waits, the outermost first."""
    frames = []
    coroutine: Any = task.get_coro()
    while coroutine is not None and hasattr(coroutine, "cr_code"):
        frames.append((coroutine.cr_code.co_filename, coroutine.cr_code.co_name))
        coroutine = coroutine.cr_await
    return _describe(frames)


def frames_of_request(tasks: Iterable[asyncio.Task[Any]], entry: str) -> Sequence[str]:
    """Return all frames from the coroutine `entry` down to the caller: those of suspended tasks, then the stack's.

    `tasks` are the tasks that the request has started.
    """
    chains = [waiting_frames(task) for task in tasks if task is not asyncio.current_task()]
    chains = [chain[chain.index(entry) :] if entry in chain else chain for chain in chains]
    chains.sort(key=lambda chain: entry not in chain)
    return [frame for chain in [*chains, running_frames()] for frame in chain]


def _describe(frames: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{Path(filename).relative_to(_ROOT)}:{name}" for filename, name in frames if filename.startswith(_PACKAGES)
    ]
