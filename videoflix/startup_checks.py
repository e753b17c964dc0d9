"""Checks of folders before anything starts. Failures are sentences that tell what to change."""

from __future__ import annotations

import errno
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcode import paths, try_lock
from videoflix.errors import CommandError

_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)  # no obstacle: videos can be served from a full disk, and deleted


def require_writable_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder if it is missing. Raises CommandError if it cannot be written."""
    with _raise_command_error(
        f"The folder {folder} is not writable ({{}}): change its permissions, or choose another folder."
    ):
        folder.mkdir(mode, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def require_media_root(media_root: Path) -> None:
    """Create the media folder's folders; require that all are writable and on one volume.

    One volume, because finished files are renamed from `scratch` into the other folders. Raises CommandError.
    Safe to call while other processes work there.
    """
    scratch_dir = media_root / paths.SCRATCH_DIR
    require_writable_folder(media_root)
    require_writable_folder(scratch_dir)
    for name in paths.PUBLISHED_DIRS:
        require_writable_folder(media_root / name)
        with _raise_command_error(
            f"Files cannot be moved from {scratch_dir} to {media_root / name} ({{}}): they must lie on one volume. "
            "To use another disk, put all of MEDIA_ROOT there."
        ):
            _check_rename(scratch_dir, media_root / name)


def _check_rename(source_dir: Path, target_dir: Path) -> None:
    name = f".probe-{secrets.token_hex(8)}"
    try:
        (source_dir / name).touch()
        (source_dir / name).rename(target_dir / name)
    finally:
        (source_dir / name).unlink(missing_ok=True)
        (target_dir / name).unlink(missing_ok=True)


@contextmanager
def _raise_command_error(message: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL_ERRNOS:
            raise CommandError(message.replace("{}", error.strerror or str(error))) from None


@contextmanager
def hold_lock(lock_path: Path, description: str, option: str) -> Iterator[None]:
    """Hold a lock file for the length of the block. Raises CommandError if another process holds it."""
    with lock_path.open("w") as file:
        if not try_lock(file):
            raise CommandError(
                f"Videoflix is already running with {description}: "
                f"stop it first, or choose another folder with {option}."
            )
        yield
