"""Isolation of ffmpeg: no network, no privileges, no more memory than its limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from transcode.errors import OutOfMemory, ProcessFailed
from transcode.ffmpeg import isolation as isolating
from transcode.ffmpeg import process
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.isolation import Isolation, isolation
from transcode.ffmpeg.process import FfmpegProcess, ResourceLimits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")

NETWORK_TEST = """
import socket, os
for family in (socket.AF_INET, socket.AF_INET6):
    try:
        with socket.socket(family) as probe:
            probe.settimeout(2)
            probe.connect(("127.0.0.1" if family == socket.AF_INET else "::1", PORT))
        print("connected")
    except OSError as error:
        print("refused", error.errno)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")])
open("written", "w").write("x")
print(os.stat("written").st_uid == os.stat(".").st_uid)
"""


def run_network_test(folder: Path, port: int) -> list[str]:
    """Run a program that tries to connect, in the way that ffmpeg is run; return the lines of its output."""
    process = FfmpegProcess(
        [sys.executable, "-I", "-c", f"PORT = {port}\n{NETWORK_TEST}"], folder, ResourceLimits(memory_bytes=2**30)
    )
    return process.run().splitlines()


@pytest.mark.parametrize("means", [Isolation.NAMESPACE, Isolation.SECCOMP])
def test_a_program_reaches_no_server_and_gains_no_rights(
    tmp_path: Path, http_port: int, monkeypatch: pytest.MonkeyPatch, means: Isolation
) -> None:
    if not isolating._works(means):
        pytest.skip(f"{means} is not allowed here")
    monkeypatch.setattr(process, "isolation", lambda: Isolation.NONE)
    assert "connected" in run_network_test(tmp_path, http_port)  # otherwise the rest would prove nothing
    monkeypatch.setattr(process, "isolation", lambda: means)
    lines = run_network_test(tmp_path, http_port)
    assert "connected" not in lines
    assert lines[-2:] == ["['1']", "True"]


def test_without_a_network_namespace_a_program_has_no_sockets(
    tmp_path: Path, http_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isolating._works(Isolation.SECCOMP):
        pytest.skip("filters of system calls are not allowed here")
    leave = isolating.leave_network
    monkeypatch.setattr(process, "isolation", lambda: Isolation.NAMESPACE)
    monkeypatch.setattr(process, "leave_network", lambda by: by is not Isolation.NAMESPACE and leave(by))
    assert "connected" not in run_network_test(tmp_path, http_port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to another user")
def test_a_user_without_root_is_isolated_too_and_can_write(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("no interpreter that every user can read")
    with_rights = Path(f"/tmp/isolation-{os.getpid()}")  # pytest's own folders are root's alone
    with_rights.mkdir()
    try:
        shutil.copy(isolating.__file__, with_rights / "isolation.py")
        os.chown(with_rights, 65534, 65534)
        code = """
            import os, subprocess, sys
            sys.path.insert(0, ".")
            from isolation import *
            found = isolation()
            def enter():
                forbid_new_privileges(); leave_network(found)
            shown = "open('written', 'w').write('x'); import os; print(os.listdir('/sys/class/net') if 0 else 'ran')"
            subprocess.run([sys.executable, "-c", shown], preexec_fn=enter, check=True)
            print(found, os.stat("written").st_uid)
        """
        argv = [python, "-B", "-c", textwrap.dedent(code)]
        done = subprocess.run(argv, cwd=with_rights, user=65534, group=65534, extra_groups=[], capture_output=True)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.decode().split()
        assert lines[0] == "ran"
        assert lines[1] in ("namespace", "seccomp")
        assert lines[2] == "65534"
    finally:
        shutil.rmtree(with_rights)


def test_the_available_isolation_is_one_of_the_means() -> None:
    assert isolation() in Isolation
    assert not isolating.leave_network(Isolation.NONE)


def test_a_video_that_needs_more_memory_than_allowed_fails_with_a_hint(tools: FfmpegBinaries, tmp_path: Path) -> None:
    arguments = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=3840x2160:r=25:d=9",
        "-c:v",
        "libx264",
        "-f",
        "null",
        "-",
    ]
    with pytest.raises(OutOfMemory, match=r"needs more memory than the 0\.5 GiB") as refused:
        FfmpegProcess([tools.ffmpeg, *arguments], tmp_path, ResourceLimits(memory_bytes=2**29)).run()
    assert refused.value.permanent
    assert "FFMPEG_MEMORY_GIB" in refused.value.message


def test_an_error_text_about_memory_alone_is_not_out_of_memory(tmp_path: Path) -> None:
    """A damaged file may claim to need more than any memory."""
    shell = ["/bin/sh", "-c", "echo 'video.mp4: Cannot allocate memory' >&2; sleep 0.3; exit $0"]
    FfmpegProcess([*shell, "0"], tmp_path, ResourceLimits(memory_bytes=2**30)).run()
    with pytest.raises(ProcessFailed):
        FfmpegProcess([*shell, "1"], tmp_path, ResourceLimits(memory_bytes=2**30)).run()
