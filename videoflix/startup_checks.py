"""What must be true of folders before anything is started, as sentences for whoever starts it."""

from __future__ import annotations

import errno
import fcntl
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videoflix.errors import CommandError

_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)  # films are served from a full disk too, and deleted from it


def require_writable_folder(folder: Path, mode: int = 0o777) -> None:
    """Make it, unless it is there. Raises CommandError when it cannot be written."""
    with _raise_command_error(
        f"The folder {folder} cannot be written ({{}}): make it writable, or choose another one."
    ):
        folder.mkdir(mode, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def require_media_root(media_root: Path) -> None:
    """The media folder: writable, and all on one volume, for films are renamed from one of its folders into another.

    Raises CommandError. Safe to call while others work there.
    """
    scratch = media_root / "scratch"
    require_writable_folder(media_root)
    require_writable_folder(scratch)
    for name in ("hls", "thumbnails", "videos"):
        require_writable_folder(media_root / name)
        with _raise_command_error(
            f"Nothing can be moved from {scratch} to {media_root / name} ({{}}): they must lie on one volume. "
            "To use another disk, let MEDIA_ROOT lie there as a whole."
        ):
            _check_rename(scratch, media_root / name)


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
    """Keep it from every other process. Raises CommandError when one has it."""
    with lock_path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Videoflix is already running with {description}: stop it first, "
                f"or choose another folder with {option}."
            ) from None
        yield
