"""Work that obeys orders: what pool children do in tests of the machinery. It imports little, for each child does."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Lost, MediaError, NoRoom, Stopped, TooLarge
from transcode.grid import Grid
from transcode.hls.storyboard import sheet_name
from transcode.ladder import ladder
from transcode.tasks.assignment import Assignment, Monitor
from transcode.timeline import AudioTrack, Timeline, VideoTrack


def film_of(seconds: int, *, sound: bool = False) -> Timeline:
    """A small film: one rendition, a segment every four seconds."""
    fps = Fraction(25)
    audio = (AudioTrack(1, 2),) if sound else ()
    return Timeline(Grid(fps, 25 * seconds), ladder(320, 180, fps), VideoTrack(0, 320, 180), audio)


class Orders:
    """What the children of `obey` should do, and what they did: files in a folder that they share with the test."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "orders"
        self._folder.mkdir(parents=True, exist_ok=True)

    def give(self, kind: str, order: str) -> None:
        (self._folder / kind).write_text(order)

    def take_back(self, kind: str) -> None:
        (self._folder / kind).unlink()

    def of(self, kind: str) -> str:
        with suppress(FileNotFoundError):
            return (self._folder / kind).read_text()
        return ""

    def began(self, kind: str) -> list[str]:
        """One line for each time that work of this kind was begun: its index."""
        with suppress(FileNotFoundError):
            return (self._folder / f"{kind}.log").read_text().split()
        return []

    def note(self, kind: str, index: int) -> None:
        with (self._folder / f"{kind}.log").open("a") as file:
            file.write(f"{index}\n")


def obey(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """In a pool child: what the orders for this kind of task say, and then empty files where the real ones would be."""
    orders = Orders(assignment.root)
    orders.note(assignment.kind, assignment.index)
    done = 0.0
    while (order := orders.of(assignment.kind)) in ("work", "hang", "be deaf"):
        if monitor.stopped() and order != "be deaf":
            raise Stopped
        if order == "work":
            done = min(0.9, done + 0.001)
            monitor.progress(done)
        (assignment.scratch / "half-made").touch()
        time.sleep(0.01)
    if order == "fail":
        raise MediaError("It failed.", last_words="the last words")
    if order == "no hope":
        raise MediaError("This file is not a film.", hopeless=True)
    if order == "no room":
        raise NoRoom
    if order == "too large":
        raise TooLarge("There is no room for it.")
    if order == "lose":
        raise Lost
    if order == "stumble":
        raise ZeroDivisionError
    if order == "die":
        os._exit(1)
    return _made(assignment, monitor)


def _made(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    root, film = assignment.root, assignment.film
    if assignment.kind == "probe":
        found = assignment.known if assignment.timeline else film_of(20)
        if not layout.film_dir(root, film).parent.exists():
            raise MediaError("The volume is away.")
        for name in found.rendition_names:
            folder = layout.rendition_dir(root, film, name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / layout.MEDIA_PLAYLIST).touch()
        return found.as_json()
    grid = assignment.known.grid
    if assignment.kind == "audio":
        layout.audio_dir(root, film).mkdir(parents=True, exist_ok=True)
        for chunk in range(grid.chunks):
            layout.audio_path(root, film, chunk).touch()
            monitor.parts(chunk + 1)
            while Orders(root).of("audio") == "one part":
                if monitor.stopped():
                    raise Stopped
                time.sleep(0.01)
    sound = layout.audio_path(root, film, assignment.index)
    if assignment.kind == "chunk" and assignment.known.audio and not sound.exists():
        raise Lost
    numbers = {"chunk": grid.chunk(assignment.index), "segment": range(assignment.index, assignment.index + 1)}
    for name in assignment.known.rendition_names:
        for number in numbers.get(assignment.kind, ()):
            layout.segment_path(root, film, name, number).touch()
    for file in _beside(assignment):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return {"unmeasured": True} if Orders(root).of(assignment.kind) == "unmeasured" else {}


def _beside(assignment: Assignment) -> list[Path]:
    """Return the files beside the segments that a task of this kind leaves behind."""
    film, folder = assignment.film, layout.film_dir(assignment.root, assignment.film)
    known, board = assignment.known, layout.storyboard_dir(assignment.root, film)
    return {
        "thumbnail": [layout.thumbnail_path(assignment.root, film)],
        "tracks": [folder / layout.audio_track(n) / layout.MEDIA_PLAYLIST for n in range(1, len(known.audio))],
        "iframes": [folder / name / layout.IFRAME_PLAYLIST for name in known.rendition_names],
        "storyboard": [board / layout.STORYBOARD_INDEX, board / sheet_name(0)],
        "finish": [folder / layout.MASTER],
    }.get(assignment.kind, [])
