"""The data folder: the secret key, the admin's first password, and where a running `up` can be reached.

A SECRET_KEY that is set wins; without one every process of this folder shares the one that is kept here.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from videoflix.errors import CommandError
from videoflix.startup_checks import hold_lock, require_writable_folder


@dataclass(frozen=True, slots=True)
class RunningInstance:
    """The servers and the media folder of a running `up`, for the commands beside it."""

    mongodb_uri: str
    redis_url: str
    media_root: str = ""


class DataDir:
    """Everything that `up` keeps, below one folder that its owner alone can read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the folder. Raises CommandError when it cannot be written."""
        require_writable_folder(self.path, mode=0o700)

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """One `up` at a time. Raises CommandError when another one holds this folder."""
        lock = self.path / "lock"
        lock.touch(mode=0o600)
        lock.chmod(0o600)  # whoever can read it can hold it, and keep `up` from starting
        with hold_lock(lock, f"the data folder {self.path}", "--data-dir"):
            yield

    def get_or_create_secret(self, name: str, size: int) -> str:
        """A random text of `size` bytes that is made once and kept."""
        path = self.path / name
        if not path.exists():
            new = self._write_private_file(name, secrets.token_urlsafe(size))
            with suppress(FileExistsError):  # another process made it at the same moment: that one counts
                path.hardlink_to(new)
            new.unlink()
        return path.read_text().strip()

    def save_running(self, running: RunningInstance) -> None:
        """Tell the commands beside where the servers are."""
        self._write_private_file("running.json", json.dumps(asdict(running))).rename(self.path / "running.json")

    def find_running(self) -> RunningInstance | None:
        """What `announce` said, while that process still holds the folder. Raises CommandError when it is another's."""
        try:
            with (self.path / "lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise CommandError(
                f"The data folder {self.path} belongs to another user: choose one with --data-dir."
            ) from None
        except BlockingIOError:
            path = self.path / "running.json"
            return RunningInstance(**json.loads(path.read_text())) if path.exists() else None
        return None

    def _write_private_file(self, name: str, text: str) -> Path:
        new = self.path / f"{name}.{os.getpid()}"
        new.touch(mode=0o600)
        new.write_text(text + "\n")
        return new
