"""Where uploads land before they are films: on the media volume, so that taking one in is a rename."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from videoflix.errors import InsufficientStorage, PayloadTooLarge
from videoflix.settings import Settings

_BYTES_PER_GIB = 1024**3


class UploadStorage:
    """Places for uploads, and whether there is room for them."""

    def __init__(self, settings: Settings) -> None:
        self._upload_dir = settings.media_root / "scratch" / "uploads"
        self._max_upload_bytes = int(settings.max_upload_gib * _BYTES_PER_GIB)
        self._min_free_bytes = int(settings.min_free_gib * _BYTES_PER_GIB)

    def allocate_path(self, size: int) -> Path:
        """A path for an upload of about `size` bytes. Raises PayloadTooLarge and InsufficientStorage."""
        self._upload_dir.mkdir(parents=True, exist_ok=True)
        self.require_space(size)
        return self._upload_dir / secrets.token_hex(16)

    def require_space(self, size: int, received: int = 0) -> None:
        """For `more` bytes of an upload, of which there are some already; others may fill the disk meanwhile.

        Raises PayloadTooLarge and InsufficientStorage.
        """
        if received + size > self._max_upload_bytes:
            raise PayloadTooLarge(
                f"The file is larger than the {self._max_upload_bytes / _BYTES_PER_GIB:g} GiB that are taken."
            )
        if shutil.disk_usage(self._upload_dir).free < size + self._min_free_bytes:
            raise InsufficientStorage("There is not enough room on the disk for this file.")

    @staticmethod
    def lock(file: IO[bytes]) -> None:
        """An upload that grows: while this process has it open, the sweeper does not take it for abandoned.

        Where files cannot be locked (some network shares) it has a day to grow on.
        """
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @staticmethod
    def sync_to_disk(path: Path) -> None:
        """Return when the bytes are on the disk and not merely on their way."""
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def safe_suffix(file_name: str) -> str:
    """`.mp4` of `Film.MP4`; empty for anything that is not a short plain extension."""
    suffix = Path(file_name.replace("\\", "/")).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def default_title(file_name: str) -> str:
    """`My film` of `C:\\films\\My_film.mp4`: the title when none was given."""
    stem = Path(file_name.replace("\\", "/")).stem
    return re.sub(r"<(?=[A-Za-z/!?])|[\x00-\x1f\x7f-\x9f]", "", stem.replace("_", " ")).strip()[:255] or "Untitled"
