"""What nobody uses any more: scratch space of dead attempts, and what comes in late for a deleted film."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from transcode import layout
from transcode.book import FilmBook
from transcode.ledger import Ledger

log = logging.getLogger(__name__)


class Sweeper:
    """One round is one `once`. Never touches what is published of a film that the catalogue did not say is deleted."""

    def __init__(self, ledger: Ledger, book: FilmBook, root: Path) -> None:
        self._ledger = ledger
        self._book = book
        self._root = root

    async def once(self) -> None:
        """Raises what the ledger and the catalogue raise when they are away."""
        await self._deleted_films()
        await self._scratch()
        await self._remove(await asyncio.to_thread(self._stale_uploads))

    async def _deleted_films(self) -> None:
        """A worker that was paused, or cut off, during the deletion may still have written something."""
        deleted = await self._book.deleted()
        known = await self._ledger.states(film for film, _ in deleted)
        for film, source in deleted:
            left = await asyncio.to_thread(layout.remains, self._root, film, source)
            if (left or film in known) and not await self._ledger.cancel(film):
                await self._ledger.forget(film)
                await self._remove(left)

    async def _scratch(self) -> None:
        """Remove attempts without a lease, and all scratch of films that are not in work.

        What is there is listed before it is asked who owns it: an owner is always known before its folder is.
        """
        folders = await asyncio.to_thread(self._listed)
        if not folders:
            return
        tokens = await self._ledger.leased_tokens()
        in_work = await self._in_work()
        for film, attempts in folders.items():
            dead = [attempt for attempt in attempts if attempt.name not in tokens]
            await self._remove(dead)
            over = film not in in_work and len(dead) == len(attempts)
            if over and film not in await self._in_work():  # still: removing takes its time, and it may be tried again
                await self._remove((layout.audio_dir(self._root, film), layout.remuxed_path(self._root, film)))
                await asyncio.to_thread(_remove_empty, layout.scratch_dir(self._root, film))

    async def _in_work(self) -> set[int]:
        return await self._ledger.at_work() | set(await self._book.unfinished())

    def _listed(self) -> dict[int, list[Path]]:
        films = [folder for folder in _inside(self._root / "scratch") if folder.name.isdecimal()]
        return {int(folder.name): _inside(folder / "attempts") for folder in films}

    def _stale_uploads(self) -> list[Path]:
        """Told by the time of the last change of any kind: the time of the content is a copy's original's."""
        moment, times = time.time(), self._ledger.times
        found = {upload: moment - _changed_at(upload) for upload in _inside(layout.uploads_dir(self._root))}
        return [
            upload
            for upload, age in found.items()
            if age > times.keep_upload or (age > times.abandoned_upload and not _is_open(upload))
        ]

    async def _remove(self, places: Iterable[Path]) -> None:
        for place in places:
            if await asyncio.to_thread(place.exists):
                log.info("swept %s", place.relative_to(self._root))
                await asyncio.to_thread(layout.remove, place)


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_open(upload: Path) -> bool:
    """Whether a process holds it; True as well where that cannot be told."""
    try:
        with upload.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return time.time()


def _remove_empty(folder: Path) -> None:
    """What came in meanwhile stays, with its folder."""
    for empty in (folder / "attempts", folder):
        with contextlib.suppress(OSError):
            empty.rmdir()
