"""videoflix.logs: what operators read at a terminal and in the files of a service manager, and what caplog sees."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

_BUG = """
import structlog
from videoflix import logs

def log_in(password):
    raise RuntimeError("a bug")

logs.configure("web")
try:
    log_in("hidden" + "word")
except RuntimeError:
    structlog.get_logger("videoflix.part").exception("request_failed", request_id="0a1b")
"""

_EVENTS = """
import logging, sys
from pathlib import Path
import structlog
from videoflix import logs

log = structlog.get_logger("videoflix.part")
log.error("before_configure")
logs.configure("worker", "INFO")
log.debug("task_claimed", task_id="segment:480p:0004")
log.info("video_ready", video_id=7, title="Żółw", path=Path("media/hls/7"), rates=[1.5, 2])
log.warning("lease_expired", task_id="probe", error="no answer")
logging.getLogger("library").warning("said %s", "so")
logging.getLogger("library").debug("unheard")
logging.getLogger("redis").info("unheard")
"""


def _run(program: str) -> list[dict[str, Any]]:
    """Return the lines that a program writes to a stderr that is no terminal, each decoded."""
    result = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert result.returncode == 0
    return [json.loads(line) for line in result.stderr.decode().splitlines()]


def _run_at_a_terminal(program: str) -> str:
    """Return what a program writes to a terminal as stderr, without colors."""
    master, terminal = os.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stderr=terminal, stdout=subprocess.DEVNULL):
        os.close(terminal)
        output = b""
        try:
            while chunk := os.read(master, 65536):
                output += chunk
        except OSError:  # how Linux reports that the other end is closed
            pass
        os.close(master)
    return re.sub(r"\x1b\[[0-9;]*m", "", output.decode())


def test_a_trace_tells_where_and_not_with_which_values() -> None:
    output = _run_at_a_terminal(_BUG)
    assert "RuntimeError: a bug" in output
    assert "hiddenword" not in output


def test_a_service_manager_gets_one_json_object_for_each_line() -> None:
    (line,) = _run(_BUG)
    assert (line["process"], line["logger"], line["level"]) == ("web", "videoflix.part", "error")
    assert (line["event"], line["request_id"]) == ("request_failed", "0a1b")
    assert line["exception"].endswith("RuntimeError: a bug")
    assert "hiddenword" not in str(line)


def test_fields_are_fields_in_json_and_levels_are_kept() -> None:
    ready, expired, foreign = _run(_EVENTS)
    assert (ready["event"], ready["level"], ready["process"]) == ("video_ready", "info", "worker")
    assert (ready["video_id"], ready["title"], ready["rates"]) == (7, "Żółw", [1.5, 2])
    assert ready["path"] == str(Path("media/hls/7"))
    assert ready["timestamp"].endswith("Z")
    assert (expired["event"], expired["level"], expired["error"]) == ("lease_expired", "warning", "no answer")
    assert (foreign["event"], foreign["logger"], foreign["level"]) == ("said so", "library", "warning")


def test_a_terminal_shows_fields_as_key_and_value() -> None:
    output = _run_at_a_terminal(_EVENTS)
    (ready,) = [line for line in output.splitlines() if "video_ready" in line]
    assert "[info" in ready
    assert "process=worker video_id=7 title=Żółw" in ready
    assert "task_claimed" not in output
    assert "said so" in output


def test_commands_that_run_once_log_errors_only() -> None:
    program = """
import structlog
from videoflix import logs
logs.show_errors_only()
log = structlog.get_logger("videoflix.part")
log.warning("unheard")
log.error("heard", error="no answer")
logs.configure("web")
log.info("heard_too")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    error, info = result.stderr.splitlines()
    assert error == "heard error=no answer"
    assert json.loads(info)["event"] == "heard_too"
    assert result.stdout == ""


def test_caplog_sees_events_with_fields_trace_and_caller(caplog: pytest.LogCaptureFixture) -> None:
    log = structlog.get_logger("videoflix.part")
    caplog.set_level(logging.INFO)
    log.debug("task_claimed")
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        log.exception("task_failed", task_id="probe", error="a bug")
    (record,) = caplog.records
    assert record.message == "task_failed task_id=probe error=a bug"
    assert record.exc_info
    assert "RuntimeError: a bug" in caplog.text
    log.warning("lease_expired")
    assert caplog.records[-1].filename == Path(__file__).name
