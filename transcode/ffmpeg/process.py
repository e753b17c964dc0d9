"""Runs ffmpeg and ffprobe: the only module that starts, watches and ends them.

A child runs in its own process group, with limits on memory, file size and processor time, without stdin, with an
environment of its own, without network access or a way to gain privileges, and it dies with its parent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transcode.errors import DiskFull, MediaError, OutOfMemory, ProcessFailed, ProcessKilled, ProcessTimeout, Stopped
from transcode.ffmpeg.isolation import Isolation, forbid_new_privileges, isolation, leave_network
from transcode.parent_death import set_parent_death_signal

GIB = 1024**3
_POLL_INTERVAL_S = 0.1  # between checks of the stop flag
_MAX_STDERR_BYTES = 16 * 1024
_DISK_TEST_BYTES = 4 * 1024**2
# Address space beyond what is written to: libraries, and what is merely reserved for threads.
_RESERVED_ADDRESS_SPACE_BYTES = 8 * GIB
# Error messages of ffmpeg, x264, x265, dav1d and the C++ library.
_OUT_OF_MEMORY_MESSAGES = (
    "Cannot allocate memory",
    "get_buffer() failed",
    "malloc of size",
    "Could not allocate",
    "bad_alloc",
    "Out of memory",
)
_OUT_OF_MEMORY_ERROR = (
    "This video needs more memory than the {:.1f} GiB that one encoder may use: pictures this large require a machine "
    "with more memory, fewer parallel tasks (WORKER_SLOTS) or a higher limit (FFMPEG_MEMORY_GIB)."
)
_DISK_FULL_MESSAGES = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))

# A static ffmpeg asks the system's C library for character sets as soon as it reads a transport stream with a service
# name, and crashes if that library is of another version; without modules to find, the lookup merely fails. The plain
# "C" locale, because numbers and messages are parsed.
ENVIRONMENT = {"LC_ALL": "C", "GCONV_PATH": "/nonexistent", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What one run may use: bytes of writable memory, bytes per file, seconds of processor time.

    `nice` is the priority from 0 (normal) to 19 (lowest).
    """

    memory_bytes: int = 12 * GIB
    file_size: int = 4 * GIB
    cpu_seconds: int = 4 * 3600
    nice: int = 0


@dataclass(slots=True)
class FfmpegProcess:
    """One run of a program.

    `is_stop_requested` is polled often and must be cheap. `on_progress` receives ffmpeg's key=value pairs, one block
    at a time. `timeout` is in seconds.
    """

    argv: Sequence[str]
    working_dir: Path
    limits: ResourceLimits = field(default_factory=ResourceLimits)
    is_stop_requested: Callable[[], bool] = lambda: False
    on_progress: Callable[[Mapping[str, str]], None] | None = None
    timeout: float | None = None
    _stdout: bytearray = field(default_factory=bytearray)
    _stderr: bytearray = field(default_factory=bytearray)
    _progress_block: dict[str, str] = field(default_factory=dict)
    _peak_memory_bytes: int = 0  # the largest value that was sampled

    def run(self) -> str:
        """Run the program to its end and return its stdout, without progress blocks.

        Raises Stopped on request, and MediaError with the end of stderr if the program fails.
        """
        deadline = time.monotonic() + self.timeout if self.timeout else float("inf")
        with self._start() as process:
            try:
                self._read_output(process, deadline)
            finally:
                _kill_process_group(process)
        self._raise_for_exit(process.returncode)
        return self._stdout.decode(errors="replace")

    @property
    def stderr_tail(self) -> str:
        """Return the end of stderr."""
        return self._stderr.decode(errors="replace")

    def _start(self) -> subprocess.Popen[bytes]:
        parent_pid, network_isolation = os.getpid(), isolation()
        try:
            return subprocess.Popen(
                list(self.argv),
                cwd=self.working_dir,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group, not a session: Linux divides processor time among sessions first (autogroups), and `nice`
                # would have no effect between two of them.
                process_group=0,
                preexec_fn=lambda: _prepare_child(self.limits, parent_pid, network_isolation),
            )
        except OSError as error:
            raise MediaError("The encoder could not be started.", stderr_tail=str(error)) from None

    def _read_output(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            for pipe, append in ((process.stdout, self._append_stdout), (process.stderr, self._append_stderr)):
                assert pipe is not None
                selector.register(pipe, selectors.EVENT_READ, append)
            while selector.get_map():
                for key, _ in selector.select(_POLL_INTERVAL_S):
                    if data := os.read(key.fd, 65536):
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)
                self._check_deadline(deadline)
                self._peak_memory_bytes = max(self._peak_memory_bytes, _data_size(process.pid))
        while not _has_exited(process):
            self._check_deadline(deadline)

    def _check_deadline(self, deadline: float) -> None:
        """Raise Stopped if a stop was requested, and ProcessTimeout after the deadline."""
        if self.is_stop_requested():
            raise Stopped
        if time.monotonic() > deadline:
            raise ProcessTimeout(stderr_tail=self.stderr_tail)

    def _append_stderr(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-_MAX_STDERR_BYTES]

    def _append_stdout(self, data: bytes) -> None:
        self._stdout += data
        if self.on_progress is None:
            return
        *lines, rest = bytes(self._stdout).split(b"\n")
        self._stdout[:] = rest
        for line in lines:
            key, _, value = line.decode(errors="replace").partition("=")
            self._progress_block[key] = value.strip()
            if key == "progress":
                self.on_progress(self._progress_block)
                self._progress_block = {}

    def _raise_for_exit(self, exit_code: int) -> None:
        """Raise the error that the exit code and stderr indicate, if any."""
        stderr = self.stderr_tail
        if _reports_disk_full(stderr):  # in which case ffmpeg sometimes exits with 0
            if _is_disk_full(self.working_dir):
                raise DiskFull(stderr_tail=stderr)
            raise MediaError("The disk was full for a moment.", stderr_tail=stderr)
        if _reports_out_of_memory(stderr) and (
            self._neared_memory_limit() or (exit_code and not self._peak_memory_bytes)
        ):
            # Also when ffmpeg exits with 0, for it continues without some of the pictures.
            message = _OUT_OF_MEMORY_ERROR.format(self.limits.memory_bytes / GIB)
            raise OutOfMemory(message, permanent=True, stderr_tail=stderr)
        if exit_code == 0:
            return
        if exit_code == -signal.SIGXCPU:
            raise MediaError("The video needs too much processor time.", permanent=True, stderr_tail=stderr)
        if exit_code == -signal.SIGKILL:
            raise ProcessKilled(stderr_tail=stderr)
        if exit_code < 0:
            raise ProcessFailed(f"The encoder was terminated by signal {-exit_code}.", stderr_tail=stderr)
        raise ProcessFailed(stderr_tail=stderr)

    def _neared_memory_limit(self) -> bool:
        """Return whether memory use came near the limit: a damaged file can claim to need more than any memory."""
        return self._peak_memory_bytes > self.limits.memory_bytes / 3


def _data_size(pid: int) -> int:
    """Return the bytes of writable memory, which RLIMIT_DATA counts (proc(5), statm), or 0 if the process has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[5]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


def _reports_disk_full(stderr: str) -> bool:
    """Return whether a line ends with this reason.

    Lines of level "info" do not count: they hold titles of the source, which may say anything.
    """
    return any(line.endswith(_DISK_FULL_MESSAGES) and "[info]" not in line for line in stderr.splitlines())


def _reports_out_of_memory(stderr: str) -> bool:
    """Return whether a line says that memory was refused; lines of level "info" do not count."""
    lines = [line for line in stderr.splitlines() if "[info]" not in line]
    return any(message in line for line in lines for message in _OUT_OF_MEMORY_MESSAGES)


def _is_disk_full(folder: Path) -> bool:
    """Return whether a test file cannot be written.

    The text of an error may come from the source itself, and only a write reveals an exceeded quota. What ffmpeg has
    written is still there at this point.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_DISK_TEST_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _prepare_child(limits: ResourceLimits, parent_pid: int, network_isolation: Isolation) -> None:
    """Set up isolation, limits, priority and the parent-death signal; runs in the child before exec."""
    forbid_new_privileges()
    # The kernel may have too many namespaces at this moment.
    if not leave_network(network_isolation) and network_isolation is Isolation.NAMESPACE:
        leave_network(Isolation.SECCOMP)
    set_parent_death_signal(parent_pid)  # after that: the kernel clears it when credentials change
    if sys.platform == "linux":  # macOS counts libraries that all processes share, and refuses
        _set_limit(resource.RLIMIT_DATA, limits.memory_bytes)
        _set_limit(resource.RLIMIT_AS, limits.memory_bytes + _RESERVED_ADDRESS_SPACE_BYTES)
    _set_limit(resource.RLIMIT_FSIZE, limits.file_size)
    _set_limit(resource.RLIMIT_CORE, 0)
    # The soft limit sends SIGXCPU, the hard one SIGKILL, which would look like a kill from outside.
    _set_limit(resource.RLIMIT_CPU, limits.cpu_seconds, grace=10)
    if limits.nice:
        os.nice(limits.nice)


def _set_limit(resource_kind: int, soft_limit: int, grace: int = 0) -> None:
    """Set a soft limit, and a hard one `grace` above it, both at most this process's own hard limit."""
    hard_limit = resource.getrlimit(resource_kind)[1]
    allowed = soft_limit + grace if hard_limit == resource.RLIM_INFINITY else min(hard_limit, soft_limit + grace)
    resource.setrlimit(resource_kind, (min(soft_limit, allowed), allowed))


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Wait for one poll interval and return whether a process that has closed its pipes has exited."""
    try:
        process.wait(_POLL_INTERVAL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group and wait for the process. Idempotent."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
