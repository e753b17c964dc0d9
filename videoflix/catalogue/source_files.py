"""The source files of videos on the media volume."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transcode import fsync_path, paths

_VIDEO_ID = re.compile(r"[0-9]{1,9}")


def move_upload(upload: Path, destination: Path) -> None:
    """Move an upload to its final path, and return once the move is on disk."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    upload.rename(destination)
    fsync_path(destination.parent)


def ids_with_files(media_root: Path) -> set[int]:
    """Return the ids of all videos that have a source or published files, even if the catalogue does not know them."""
    names = (entry.name for folder in paths.PUBLISHED_DIRS for entry in _list_entries(media_root / folder))
    stems = (name.partition(".")[0] for name in names)
    return {int(stem) for stem in stems if _VIDEO_ID.fullmatch(stem)}


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
