"""Removes unused files: scratch folders of dead attempts, abandoned uploads, and late output for deleted videos."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import structlog

from transcode import paths, publishing
from transcode.file_lock import try_lock
from transcode.ledger import Ledger
from transcode.repository import VideoRepository

_log = structlog.get_logger(__name__)


class Sweeper:
    """Runs one round per `run_once`. Removes published files only of videos that the repository lists as deleted."""

    def __init__(self, ledger: Ledger, repository: VideoRepository, media_root: Path) -> None:
        self._ledger = ledger
        self._repository = repository
        self._media_root = media_root

    async def run_once(self) -> None:
        """Sweep once. Raises LedgerUnavailable or RepositoryUnavailable during an outage."""
        await self._sweep_deleted()
        await self._sweep_scratch()
        await self._remove(await asyncio.to_thread(self._stale_uploads))

    async def _sweep_deleted(self) -> None:
        """Remove what a worker that was paused or cut off during a deletion has written since."""
        deleted = await self._repository.list_deleted()
        states = await self._ledger.views.job_states(video_id for video_id, _ in deleted)
        for video_id, source in deleted:
            remaining = await asyncio.to_thread(publishing.list_remaining, self._media_root, video_id, source)
            if (remaining or video_id in states) and not await self._ledger.cancel(video_id):
                await self._ledger.forget(video_id)
                await self._remove(remaining)

    async def _sweep_scratch(self) -> None:
        """Remove the folders of attempts without a lease, and all scratch files of videos without a live job.

        Folders are listed before leases, because a lease exists before its folder does.
        """
        folders = await asyncio.to_thread(self._list_attempts)
        if not folders:
            return
        tokens = await self._ledger.leased_tokens()
        active_ids = await self._list_active_video_ids()
        for video_id, attempts in folders.items():
            dead = [attempt for attempt in attempts if attempt.name not in tokens]
            await self._remove(dead)
            is_unused = video_id not in active_ids and len(dead) == len(attempts)
            # Check again: removing takes a while, and the video may have been retried meanwhile.
            if is_unused and video_id not in await self._list_active_video_ids():
                await self._remove(
                    (paths.chunk_audio_dir(self._media_root, video_id), paths.remuxed_path(self._media_root, video_id))
                )
                await asyncio.to_thread(_remove_empty, paths.scratch_dir(self._media_root, video_id))

    async def _list_active_video_ids(self) -> set[int]:
        return await self._ledger.views.list_active_ids() | set(await self._repository.list_unfinished())

    def _list_attempts(self) -> dict[int, list[Path]]:
        folders = [folder for folder in _list_dir(self._media_root / paths.SCRATCH_DIR) if folder.name.isdecimal()]
        return {int(folder.name): _list_dir(folder / "attempts") for folder in folders}

    def _stale_uploads(self) -> list[Path]:
        """Return abandoned uploads. Their age is judged by ctime, because copying preserves mtime."""
        now, timing = time.time(), self._ledger.timing
        ages_s = {upload: now - _change_time(upload) for upload in _list_dir(paths.uploads_dir(self._media_root))}
        return [
            upload
            for upload, age_s in ages_s.items()
            if age_s > timing.max_upload_age_s or (age_s > timing.abandoned_upload_age_s and not _is_open(upload))
        ]

    async def _remove(self, targets: Iterable[Path]) -> None:
        for path in targets:
            if await asyncio.to_thread(path.exists):
                _log.info("file_swept", path=str(path.relative_to(self._media_root)))
                await asyncio.to_thread(publishing.remove, path)


def _list_dir(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_open(upload: Path) -> bool:
    """Return whether a process holds the upload's lock, or True if that cannot be determined."""
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
    """Remove a scratch folder unless something was written into it meanwhile."""
    for empty in (folder / "attempts", folder):
        with contextlib.suppress(OSError):
            empty.rmdir()
