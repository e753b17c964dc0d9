"""Opens published files: only regular files, in real folders, below a given folder."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack
from pathlib import Path

from videoflix.errors import NotFound

# A symbolic link below the base folder could lead out of it; opening a named pipe must not block the process.
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_FOUND_ERRNOS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO)


class OpenFile:
    """A file that is open for reading; the caller closes it. Renaming another file over its path does not affect it."""

    __slots__ = ("descriptor", "modified_at", "size", "version")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.size = status.st_size
        self.modified_at = int(status.st_mtime)  # Unix time
        # Differs for each file that was ever renamed to the path; no content has to be read.
        self.version = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"

    def close(self) -> None:
        """Close the file. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Close what nobody closed: an open file is never lost, whatever was raised between two lines."""
        if getattr(self, "descriptor", -1) >= 0:
            self.close()


def resolve_folder(folder: Path) -> str:
    """Return the real path of a folder, which an operator may have replaced by a link to another disk."""
    return str(folder.resolve())


def open_below(base: str, *names: str) -> OpenFile:
    """Open base/names[0]/.../names[-1]. Raises NotFound, also if it is not a regular file in real folders."""
    try:
        descriptor = _open_descriptor(base, names)
    except OSError as error:
        if error.errno in _NOT_FOUND_ERRNOS:
            raise NotFound from None
        raise
    with ExitStack() as held:
        held.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotFound
        file = OpenFile(descriptor, status)
        held.pop_all()
        return file


def read_below(base: str, *names: str) -> tuple[bytes, OpenFile]:
    """Return the content of a small file, and the file, which is closed again. Raises NotFound."""
    file = open_below(base, *names)
    try:
        return os.pread(file.descriptor, file.size, 0), file
    finally:
        file.close()


def _open_descriptor(base: str, names: tuple[str, ...]) -> int:
    *folders, file_name = names
    if not folders:
        return os.open(f"{base}/{file_name}", _FILE_FLAGS)
    folder = os.open(f"{base}/{folders[0]}", _FOLDER_FLAGS)
    try:
        for name in folders[1:]:
            parent, folder = folder, os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            os.close(parent)
        return os.open(file_name, _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
