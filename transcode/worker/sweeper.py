"""What nobody uses any more: scratch space of dead attempts, and what comes in late for a deleted film."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from transcode import paths, publishing
from transcode.file_lock import try_lock
from transcode.ledger import Ledger
from transcode.repository import VideoRepository

log = logging.getLogger(__name__)


class Sweeper:
    """One round is one `once`. Never touches what is published of a film that the catalogue did not say is deleted."""

    def __init__(self, ledger: Ledger, repository: VideoRepository, media_root: Path) -> None:
        self._ledger = ledger
        self._repository = repository
        self._media_root = media_root

    async def run_once(self) -> None:
        """Raises what the ledger and the catalogue raise when they are away."""
        await self._sweep_deleted()
        await self._sweep_scratch()
        await self._remove(await asyncio.to_thread(self._stale_uploads))

    async def _sweep_deleted(self) -> None:
        """A worker that was paused, or cut off, during the deletion may still have written something."""
        deleted = await self._repository.list_deleted()
        known = await self._ledger.views.job_states(film for film, _ in deleted)
        for film, source in deleted:
            left = await asyncio.to_thread(publishing.list_remaining, self._media_root, film, source)
            if (left or film in known) and not await self._ledger.cancel(film):
                await self._ledger.forget(film)
                await self._remove(left)

    async def _sweep_scratch(self) -> None:
        """Remove attempts without a lease, and all scratch of films that are not in work.

        What is there is listed before it is asked who owns it: an owner is always known before its folder is.
        """
        folders = await asyncio.to_thread(self._list_attempts)
        if not folders:
            return
        tokens = await self._ledger.leased_tokens()
        in_work = await self._active_video_ids()
        for film, attempts in folders.items():
            dead = [attempt for attempt in attempts if attempt.name not in tokens]
            await self._remove(dead)
            over = film not in in_work and len(dead) == len(attempts)
            if (
                over and film not in await self._active_video_ids()
            ):  # still: removing takes its time, and it may be tried again
                await self._remove(
                    (paths.chunk_audio_dir(self._media_root, film), paths.remuxed_path(self._media_root, film))
                )
                await asyncio.to_thread(_remove_empty, paths.scratch_dir(self._media_root, film))

    async def _active_video_ids(self) -> set[int]:
        return await self._ledger.views.list_active_ids() | set(await self._repository.list_unfinished())

    def _list_attempts(self) -> dict[int, list[Path]]:
        films = [folder for folder in _list_dir(self._media_root / paths.SCRATCH_DIR) if folder.name.isdecimal()]
        return {int(folder.name): _list_dir(folder / "attempts") for folder in films}

    def _stale_uploads(self) -> list[Path]:
        """Told by the time of the last change of any kind: the time of the content is a copy's original's."""
        moment, times = time.time(), self._ledger.timing
        found = {upload: moment - _change_time(upload) for upload in _list_dir(paths.uploads_dir(self._media_root))}
        return [
            upload
            for upload, age in found.items()
            if age > times.max_upload_age_s or (age > times.abandoned_upload_age_s and not _is_open(upload))
        ]

    async def _remove(self, targets: Iterable[Path]) -> None:
        for place in targets:
            if await asyncio.to_thread(place.exists):
                log.info("swept %s", place.relative_to(self._media_root))
                await asyncio.to_thread(publishing.remove, place)


def _list_dir(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_open(upload: Path) -> bool:
    """Whether a process holds it; True as well where that cannot be told."""
    try:
        with upload.open("rb") as file:
            return not try_lock(file)
    except OSError:
        return True


def _change_time(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return time.time()


def _remove_empty(folder: Path) -> None:
    """What came in meanwhile stays, with its folder."""
    for empty in (folder / "attempts", folder):
        with contextlib.suppress(OSError):
            empty.rmdir()
