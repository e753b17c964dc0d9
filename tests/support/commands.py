"""Commands of `videoflix` as a person at a terminal sees them end."""

from __future__ import annotations

import subprocess


def error_message(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed command printed; assert that there is no more, and no traceback."""
    assert done.returncode == 1, done
    assert done.stderr.startswith("videoflix: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr.removeprefix("videoflix: ").strip()
