"""Starts ffmpeg and ffprobe, watches them, and ends them: the only place that does.

A child has its own process group, limits on memory, file size and processor time, no stdin, an environment
without anything of ours, no network and no way to more rights, and dies with its parent.
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
_POLL_INTERVAL_S = 0.1  # seconds between looks at the stop flag
_MAX_STDERR_BYTES = 16 * 1024  # bytes of stderr
_DISK_TEST_BYTES = 4 * 1024**2  # bytes
# Address space beyond what is written to: libraries, and what is only reserved for threads.
_UNUSED_SPACE = 8 * GIB
# Of ffmpeg, x264, x265, dav1d and the C++ library.
_NO_MEMORY = (
    "Cannot allocate memory",
    "get_buffer() failed",
    "malloc of size",
    "Could not allocate",
    "bad_alloc",
    "Out of memory",
)
_TOO_LITTLE_MEMORY = (
    "This film needs more memory than the {:.1f} GiB that one encoder may use: pictures this large take a machine with "
    "more memory, fewer tasks at once (WORKER_SLOTS) or a higher limit (FFMPEG_MEMORY_GIB)."
)
_DISK_FULL_MESSAGES = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))

# A static ffmpeg asks the system's C library for character sets as soon as it reads a transport stream with a
# service name, and crashes when that is another version; with no modules to find it asks in vain. Plain "C"
# besides: numbers and messages are parsed.
ENVIRONMENT = {"LC_ALL": "C", "GCONV_PATH": "/nonexistent", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What one run may use: bytes of memory that it writes to, bytes per file, processor seconds; `nice` 0 is in front,
    19 last.
    """

    memory_bytes: int = 12 * GIB
    file_size: int = 4 * GIB
    cpu_seconds: int = 4 * 3600
    nice: int = 0


@dataclass(slots=True)
class FfmpegProcess:
    """One run of a program. `stopped` is asked often; `progress` gets ffmpeg's key=value pairs, block by block."""

    argv: Sequence[str]
    working_dir: Path
    limits: ResourceLimits = field(default_factory=ResourceLimits)
    is_stop_requested: Callable[[], bool] = lambda: False
    on_progress: Callable[[Mapping[str, str]], None] | None = None
    timeout: float | None = None  # seconds
    _stdout: bytearray = field(default_factory=bytearray)
    _stderr: bytearray = field(default_factory=bytearray)
    _progress_block: dict[str, str] = field(default_factory=dict)
    _peak: int = 0  # bytes of memory that it was seen to have at most

    def run(self) -> str:
        """Run to the end; returns stdout (without progress). Raises MediaError with the last words, or Stopped."""
        until = time.monotonic() + self.timeout if self.timeout else float("inf")
        with self._start() as process:
            try:
                self._read_output(process, until)
            finally:
                _kill_process_group(process)
        self._raise_for_exit(process.returncode)
        return self._stdout.decode(errors="replace")

    @property
    def stderr_tail(self) -> str:
        """The end of stderr."""
        return self._stderr.decode(errors="replace")

    def _start(self) -> subprocess.Popen[bytes]:
        parent, network = os.getpid(), isolation()
        try:
            return subprocess.Popen(
                list(self.argv),
                cwd=self.working_dir,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group, not a session: Linux shares processors out among sessions first (autogroups), and `nice`
                # would count for nothing between two of them.
                process_group=0,
                preexec_fn=lambda: _prepare_child(self.limits, parent, network),
            )
        except OSError as error:
            raise MediaError("The program for films could not be started.", stderr_tail=str(error)) from None

    def _read_output(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        with selectors.DefaultSelector() as ready:
            for pipe, take in ((process.stdout, self._append_stdout), (process.stderr, self._append_stderr)):
                assert pipe is not None
                ready.register(pipe, selectors.EVENT_READ, take)
            while ready.get_map():
                for key, _ in ready.select(_POLL_INTERVAL_S):
                    if data := os.read(key.fd, 65536):
                        key.data(data)
                    else:
                        ready.unregister(key.fileobj)
                self._check_deadline(deadline)
                self._peak = max(self._peak, _memory_of(process.pid))
        while not _has_exited(process):
            self._check_deadline(deadline)

    def _check_deadline(self, deadline: float) -> None:
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
        words = self.stderr_tail
        if _reports_full_disk(words):  # which ffmpeg now and then calls a success
            if _is_disk_full(self.working_dir):
                raise DiskFull(stderr_tail=words)
            raise MediaError("The disk was full for a moment.", stderr_tail=words)
        if _tells_of_no_memory(words) and (self._had_little_left() or (exit_code and not self._peak)):
            # Also where ffmpeg calls it a success, for it goes on without some of the pictures.
            sentence = _TOO_LITTLE_MEMORY.format(self.limits.memory_bytes / GIB)
            raise OutOfMemory(sentence, permanent=True, stderr_tail=words)
        if exit_code == 0:
            return
        if exit_code == -signal.SIGXCPU:
            raise MediaError("The film needs too much processor time.", permanent=True, stderr_tail=words)
        if exit_code == -signal.SIGKILL:
            raise ProcessKilled(stderr_tail=words)
        if exit_code < 0:
            raise ProcessFailed(f"The encoder was ended by signal {-exit_code}.", stderr_tail=words)
        raise ProcessFailed(stderr_tail=words)

    def _had_little_left(self) -> bool:
        """Whether it came near its limit: what a damaged file says of itself may be more than any memory, too."""
        return self._peak > self.limits.memory_bytes / 3


def _memory_of(process: int) -> int:
    """Return the bytes that a process may write to, which RLIMIT_DATA counts (proc(5), statm); 0 when it has ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[5]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


def _reports_full_disk(stderr: str) -> bool:
    """As the reason at the end of a line; at the level of talk that shows them, titles of a source are no reasons."""
    return any(line.endswith(_DISK_FULL_MESSAGES) and "[info]" not in line for line in stderr.splitlines())


def _tells_of_no_memory(words: str) -> bool:
    """Whether the program says that it was refused memory."""
    return any(word in line for line in words.splitlines() if "[info]" not in line for word in _NO_MEMORY)


def _is_disk_full(folder: Path) -> bool:
    """By trying it, for the words may be a source's own; what ffmpeg has written is still there. Only writing tells
    of a quota.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_DISK_TEST_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _prepare_child(limits: ResourceLimits, parent_pid: int, network: Isolation) -> None:
    """In the child, before the program: isolation, limits, priority, and death with the parent."""
    forbid_new_privileges()
    if not leave_network(network) and network is Isolation.NAMESPACE:  # there may be too many of them at this moment
        leave_network(Isolation.SECCOMP)
    set_parent_death_signal(parent_pid)  # after that, for a change of rights makes the kernel forget it
    if sys.platform == "linux":  # macOS counts libraries that all processes share, and refuses
        _set_limit(resource.RLIMIT_DATA, limits.memory_bytes)
        _set_limit(resource.RLIMIT_AS, limits.memory_bytes + _UNUSED_SPACE)
    _set_limit(resource.RLIMIT_FSIZE, limits.file_size)
    _set_limit(resource.RLIMIT_CORE, 0)
    # The soft limit sends SIGXCPU, the hard one SIGKILL, which would look like a kill from outside.
    _set_limit(resource.RLIMIT_CPU, limits.cpu_seconds, grace=10)
    if limits.nice:
        os.nice(limits.nice)


def _set_limit(resource_kind: int, soft_limit: int, grace: int = 0) -> None:
    """At most so much; less when this process is itself allowed less."""
    hard = resource.getrlimit(resource_kind)[1]
    allowed = soft_limit + grace if hard == resource.RLIM_INFINITY else min(hard, soft_limit + grace)
    resource.setrlimit(resource_kind, (min(soft_limit, allowed), allowed))


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Wait a moment for a process that has closed its pipes."""
    try:
        process.wait(_POLL_INTERVAL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group, and wait. Repeatable."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
