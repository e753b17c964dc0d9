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
    """Return the existing files and folders of a video; `source` is relative to the media folder."""
    candidates = (
        paths.video_dir(media_root, video_id),
        paths.scratch_dir(media_root, video_id),
        paths.thumbnail_path(media_root, video_id),
        media_root / source,
    )
    return [path for path in candidates if path.exists()]


def remove(path: Path) -> None:
    """Remove a file or a whole folder. Idempotent; what cannot be removed stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def publish(source: Path, destination: Path) -> None:
    """Flush a finished file to disk and rename it to its destination, replacing any existing file.

    The file survives a power failure once the destination folder is flushed too. Raises FileNotFoundError if that
    folder is missing: the video was deleted.
    """
    fsync_path(source)
    source.rename(destination)


def publish_if_absent(source: Path, destination: Path) -> bool:
    """Publish a file unless its destination exists, which is at least as good. Return whether it was published.

    Removes the source either way.
    """
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
        if is_new:  # a file that appears at this very moment is replaced by one with the same pictures
            source.rename(destination)
    source.unlink(missing_ok=True)
    return is_new


def publish_text(temp_dir: Path, destination: Path, text: str) -> None:
    """Publish a small UTF-8 file, which is first written into a scratch folder."""
    source = temp_dir / f"{destination.parent.name}-{destination.name}"
    source.write_text(text, encoding="utf-8")
    publish(source, destination)


def fsync_path(path: Path) -> None:
    """Flush a file's content or a folder's entries to disk: a power failure may keep one and lose the other."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
