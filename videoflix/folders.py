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

_FULL = (errno.ENOSPC, errno.EDQUOT)  # films are served from a full disk too, and deleted from it


def require_folder(folder: Path, mode: int = 0o777) -> None:
    """Make it, unless it is there. Raises CommandError when it cannot be written."""
    with _told(f"The folder {folder} cannot be written ({{}}): make it writable, or choose another one."):
        folder.mkdir(mode, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def require_media(root: Path) -> None:
    """The media folder: writable, and all on one volume, for films are renamed from one of its folders into another.

    Raises CommandError. Safe to call while others work there.
    """
    scratch = root / "scratch"
    require_folder(root)
    require_folder(scratch)
    for name in ("hls", "thumbnails", "videos"):
        require_folder(root / name)
        with _told(
            f"Nothing can be moved from {scratch} to {root / name} ({{}}): they must lie on one volume. "
            "To use another disk, let MEDIA_ROOT lie there as a whole."
        ):
            _move_from_to(scratch, root / name)


def _move_from_to(here: Path, there: Path) -> None:
    name = f".probe-{secrets.token_hex(8)}"
    try:
        (here / name).touch()
        (here / name).rename(there / name)
    finally:
        (here / name).unlink(missing_ok=True)
        (there / name).unlink(missing_ok=True)


@contextmanager
def _told(sentence: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise CommandError(sentence.replace("{}", error.strerror or str(error))) from None


@contextmanager
def held(lock: Path, what: str, option: str) -> Iterator[None]:
    """Keep it from every other process. Raises CommandError when one has it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Videoflix is already running with {what}: stop it first, or choose another folder with {option}."
            ) from None
        yield
