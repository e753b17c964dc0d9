"""Scratch space that nobody uses any more."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from transcode.book import FilmBook
from transcode.ledger import Ledger

log = logging.getLogger(__name__)


class Sweeper:
    """Looks at `scratch/<film>/` alone; other folders there (uploads) are not the engine's."""

    def __init__(self, ledger: Ledger, book: FilmBook, root: Path) -> None:
        self._ledger = ledger
        self._book = book
        self._scratch = root / "scratch"

    async def once(self) -> None:
        """Remove attempts without a lease, and all scratch of films that are not in work.

        What is there is listed before it is asked who owns it: an owner is always known before its folder is.
        """
        folders = await asyncio.to_thread(self._listed)
        if not folders:
            return
        tokens = await self._ledger.leased_tokens()
        unfinished = set(await self._book.unfinished())
        for film, attempts in folders.items():
            own = [attempt for attempt in attempts if attempt.name in tokens]
            if film not in unfinished and not own:
                await self._remove(self._scratch / str(film))
            else:
                for attempt in set(attempts).difference(own):
                    await self._remove(attempt)

    def _listed(self) -> dict[int, list[Path]]:
        if not self._scratch.is_dir():
            return {}
        films = [folder for folder in self._scratch.iterdir() if folder.name.isdecimal()]
        return {int(folder.name): _inside(folder / "attempts") for folder in films}

    async def _remove(self, folder: Path) -> None:
        log.info("swept %s", folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
