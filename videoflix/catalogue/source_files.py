"""Where the sources of films lie on the media volume, and which ids its files belong to."""

from __future__ import annotations

import os
import re
from pathlib import Path

_VIDEO_ID = re.compile(r"[0-9]{1,9}")


def source_path(video_id: int, suffix: str) -> Path:
    """Below the media folder."""
    return Path("videos", f"{video_id}{suffix}")


def move_upload(upload: Path, destination: Path) -> None:
    """Move an upload into its place, and return when that is on the disk."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    upload.rename(destination)
    descriptor = os.open(destination.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ids_with_files(media_root: Path) -> set[int]:
    """Of which films there is a source, or something that was made of one, whether the catalogue knows them or not."""
    names = (entry.name for folder in ("videos", "hls", "thumbnails") for entry in _list_entries(media_root / folder))
    numbers = (name.partition(".")[0] for name in names)
    return {int(number) for number in numbers if _VIDEO_ID.fullmatch(number)}


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
