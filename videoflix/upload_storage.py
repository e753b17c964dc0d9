"""Storage for incoming uploads. It is on the media volume, so that importing an upload is a rename."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from transcode import fsync_path, paths, try_lock
from videoflix.errors import InsufficientStorage, PayloadTooLarge
from videoflix.settings import Settings

_BYTES_PER_GIB = 1024**3


class UploadStorage:
    """The folder for uploads in progress, and its limits on size and disk space."""

    def __init__(self, settings: Settings) -> None:
        self._upload_dir = paths.uploads_dir(settings.media_root)
        self._max_upload_bytes = int(settings.max_upload_gib * _BYTES_PER_GIB)
        self._min_free_bytes = int(settings.min_free_gib * _BYTES_PER_GIB)

    def allocate_path(self, size: int) -> Path:
        """Return a new path for an upload of about `size` bytes. Raises PayloadTooLarge and InsufficientStorage."""
        self._upload_dir.mkdir(parents=True, exist_ok=True)
        self.require_space(size)
        return self._upload_dir / secrets.token_hex(16)

    def require_space(self, size: int, received: int = 0) -> None:
        """Require space for `size` more bytes of an upload of which `received` bytes are stored.

        Call it again as the upload grows, since others may fill the disk meanwhile.
        Raises PayloadTooLarge and InsufficientStorage.
        """
        if received + size > self._max_upload_bytes:
            limit_gib = self._max_upload_bytes / _BYTES_PER_GIB
            raise PayloadTooLarge(f"The file is too large: the limit is {limit_gib:g} GiB.")
        if shutil.disk_usage(self._upload_dir).free < size + self._min_free_bytes:
            raise InsufficientStorage("There is not enough disk space for this file.")

    @staticmethod
    def lock(file: IO[bytes]) -> None:
        """Lock a growing upload, so that the sweeper does not delete it as abandoned while it is open.

        Where files cannot be locked (some network shares), the sweeper deletes uploads after a day without changes.
        """
        with suppress(OSError):
            try_lock(file)

    @staticmethod
    def sync_to_disk(path: Path) -> None:
        """Return when the bytes of a file have reached the disk."""
        fsync_path(path)


def safe_suffix(file_name: str) -> str:
    """Return the extension of a file name in lower case: `.mp4` for `Holiday.MP4`.

    Empty unless it is short and of letters and digits.
    """
    suffix = Path(file_name.replace("\\", "/")).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
