"""The data folder: the generated secret key and admin password, and the addresses of a running `up`.

SECRET_KEY takes precedence; without it, all processes that use this folder share the key stored here.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from transcode import try_lock
from videoflix.errors import CommandError
from videoflix.startup_checks import hold_lock, require_writable_folder


@dataclass(frozen=True, slots=True)
class RunningInstance:
    """The servers and the media folder of a running `up`, for commands that run at the same time."""

    mongodb_uri: str
    redis_url: str
    media_root: str = ""


class DataDir:
    """The folder in which `up` keeps its data. Only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Create the folder if it is missing. Raises CommandError if it cannot be written."""
        require_writable_folder(self.path, mode=0o700)

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Hold the folder's lock for the length of the block. Raises CommandError if another `up` holds it."""
        lock = self.path / "lock"
        lock.touch(mode=0o600)
        lock.chmod(0o600)  # whoever can read it can hold it, and keep `up` from starting
        with hold_lock(lock, f"the data folder {self.path}", "--data-dir"):
            yield

    def get_or_create_secret(self, name: str, size: int) -> str:
        """Return a secret of `size` random bytes, generated at the first call and stored in the file `name`."""
        path = self.path / name
        if not path.exists():
            temp_path = self._write_private_file(name, secrets.token_urlsafe(size))
            with suppress(FileExistsError):  # another process created it at the same moment: use that one
                path.hardlink_to(temp_path)
            temp_path.unlink()
        return path.read_text().strip()

    def save_running(self, running: RunningInstance) -> None:
        """Store the addresses of the running servers."""
        self._write_private_file("running.json", json.dumps(asdict(running))).rename(self.path / "running.json")

    def find_running(self) -> RunningInstance | None:
        """Return what `save_running` stored, or None if no `up` holds the folder's lock.

        Raises CommandError if the folder belongs to another user.
        """
        try:
            with (self.path / "lock").open("r") as file:
                if try_lock(file, shared=True):
                    return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise CommandError(
                f"The data folder {self.path} belongs to another user: choose one with --data-dir."
            ) from None
        path = self.path / "running.json"
        return RunningInstance(**json.loads(path.read_text())) if path.exists() else None

    def _write_private_file(self, name: str, text: str) -> Path:
        path = self.path / f"{name}.{os.getpid()}"
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path
