"""What operators read: at a terminal, and in the files of a service manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys

_BUG = """
import logging
from videoflix import logs

def sign_in(password):
    raise RuntimeError("a bug")

logs.configure("web")
try:
    sign_in("hidden" + "word")
except RuntimeError:
    logging.getLogger("videoflix.part").error("unhandled request_id=%s", "0a1b", exc_info=True)
"""


def at_a_terminal(program: str) -> str:
    """What it writes to a terminal as stderr."""
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stderr=theirs):
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    return said.decode()


def test_a_trace_tells_where_and_not_with_which_values() -> None:
    said = at_a_terminal(_BUG)
    assert "RuntimeError: a bug" in said
    assert "hiddenword" not in said


def test_a_service_manager_gets_one_json_object_for_each_line() -> None:
    done = subprocess.run([sys.executable, "-c", _BUG], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert (said["process"], said["logger"], said["level"]) == ("web", "videoflix.part", "error")
    assert said["event"] == "unhandled request_id=0a1b"
    assert said["exception"].endswith("RuntimeError: a bug")
    assert "hiddenword" not in line
