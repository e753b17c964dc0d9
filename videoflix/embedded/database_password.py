"""The password of the embedded database, which without one would serve every user of the machine."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

from videoflix.errors import CommandError

USER = "videoflix"

_PASSWORD_FILE = "password"  # noqa: S105  # in the database's folder, so that a copy of the folder is complete
_SCRIPT = Path(__file__).with_name("create_database_user.py")
_CREATE_TIMEOUT_S = 120


def ensure_database_password(program: str, folder: Path) -> str:
    """Return the password of the database in `folder`; create it, and the user, where there is none yet.

    Data written by a version without a password is kept. `program` is the path of the server, which must not be
    running. The file appears only when the user exists, so a crash in between repeats both steps. Raises CommandError.
    """
    file = folder / _PASSWORD_FILE
    if not file.exists():
        password = secrets.token_hex(24)
        _create_user(program, folder, password)
        _write_private(file, password)
    return file.read_text().strip()


def _create_user(program: str, folder: Path, password: str) -> None:
    argv = [_interpreter_of(program), "-I", str(_SCRIPT), str(folder), USER]
    try:
        subprocess.run(
            argv, input=password, text=True, capture_output=True, check=True, timeout=_CREATE_TIMEOUT_S, umask=0o077
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["it said nothing."]
        raise CommandError(f"The embedded database could not be given a password: {lines[-1][:300]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"The embedded database could not be given a password: {error}") from None


def _interpreter_of(program: str) -> str:
    """Return the Python of the environment that the server is installed in, as the first line of its script says."""
    with Path(program).open("rb") as script:
        first = script.readline(4096)
    named = os.fsdecode(first[2:].strip()) if first.startswith(b"#!") else ""
    return named if Path(named).name.startswith("python") and os.access(named, os.X_OK) else sys.executable


def _write_private(file: Path, text: str) -> None:
    """Write a file that its owner alone can read; it appears complete and survives a power failure."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with new.open("w") as opened:
        opened.write(text + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    new.rename(file)
