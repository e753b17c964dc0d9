"""Publishing files atomically and durably, and removing what was published.

Tasks write into their scratch folder; a finished file is flushed to disk and renamed to its published path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from transcode import paths

# What hard links fail with on file systems that have none: exFAT, some network shares.
_NO_HARDLINK_ERRNOS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


def list_remaining(media_root: Path, video_id: int, source: str) -> list[Path]:
    """Everything that is there of a film; `source` below the media folder."""
    candidates = (
        paths.video_dir(media_root, video_id),
        paths.scratch_dir(media_root, video_id),
        paths.thumbnail_path(media_root, video_id),
        media_root / source,
    )
    return [path for path in candidates if path.exists()]


def remove(path: Path) -> None:
    """A file or a whole folder. Repeatable; what cannot be removed stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def publish(source: Path, destination: Path) -> None:
    """Rename a finished file into its place, replacing what is there; it outlives a power cut from then on.

    Raises FileNotFoundError when the folder of the place is gone: the film was deleted.
    """
    fsync_path(source)
    source.rename(destination)


def publish_if_absent(source: Path, destination: Path) -> bool:
    """Like `publish`, but what is there already stays: it is at least as good. Returns whether nothing was there."""
    fsync_path(source)
    try:
        destination.hardlink_to(source)
        is_new = True
    except FileExistsError:
        is_new = False
    except OSError as error:
        if error.errno not in _NO_HARDLINK_ERRNOS:
            raise
        is_new = not destination.exists()
        if is_new:  # what comes in at this very moment is replaced by the same pictures
            source.rename(destination)
    source.unlink(missing_ok=True)
    return is_new


def publish_text(temp_dir: Path, destination: Path, text: str) -> None:
    """Write a small file by way of a scratch folder."""
    made = temp_dir / f"{destination.parent.name}-{destination.name}"
    made.write_text(text, encoding="utf-8")
    publish(made, destination)


def fsync_path(path: Path) -> None:
    """Flush a file's bytes, or a folder's names: without it, a power cut may keep the one and lose the other."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
