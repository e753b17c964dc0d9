"""The pool of encoder children: errors that cross processes, killed children, and what the kernel ends with them."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.processes import still_running
from tests.support.waiting import wait_until
from tests.support.workers import NO_TOOLS
from transcode import parent_death
from transcode.errors import MediaError, Stopped
from transcode.ffmpeg.process import FfmpegProcess
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.worker.pool import EncoderPool

ROOT = Path(__file__).parents[2]


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("two arguments make it fail to unpickle")


def act(assignment: TaskContext, monitor: ProgressSink) -> dict[str, Any]:
    """In the child: what `source` says."""
    if assignment.source == "raise":
        raise Unpicklable(1, 2)
    if assignment.source == "refuse":
        raise MediaError("No film.", permanent=True, stderr_tail="words")
    if assignment.source == "modules":
        return {"modules": list(sys.modules)}
    if assignment.source == "run":
        FfmpegProcess(["/bin/sleep", "60"], assignment.scratch_dir, is_stop_requested=monitor.is_stop_requested).run()
    while assignment.source in ("wait", "deaf") and (assignment.source == "deaf" or not monitor.is_stop_requested()):
        monitor.report_progress(0.5)
        time.sleep(0.01)
    if assignment.source == "wait":
        raise Stopped
    return {"pid": os.getpid()}


def kinds_of(error: type[MediaError]) -> list[type[MediaError]]:
    return [error, *(kind for child in error.__subclasses__() for kind in kinds_of(child))]


@pytest.mark.parametrize("kind", kinds_of(MediaError))
def test_an_error_crosses_to_another_process_as_it_is(kind: type[MediaError]) -> None:
    for error in (kind(), kind("No.", permanent=True, stderr_tail="words")):
        arrived = pickle.loads(pickle.dumps(error))
        assert type(arrived) is kind
        assert (arrived.args, vars(arrived)) == (error.args, vars(error))
    assert str(kind()) == kind.default_message


@pytest.fixture
def pool() -> Iterator[EncoderPool]:
    with closing(EncoderPool(2, act)) as pool:
        yield pool


@pytest.fixture
def task(tmp_path: Path) -> Callable[[str], TaskContext]:
    return lambda source: TaskContext("chunk", 1, source, tmp_path, tmp_path, NO_TOOLS)


async def test_children_are_there_before_the_first_task_and_are_used_again(
    pool: EncoderPool, task: Callable[[str], TaskContext]
) -> None:
    pool.spawn_all()
    await wait_until(lambda: len(psutil.Process().children()) >= 2)
    first = await pool.run(0, task("say"))
    assert await pool.run(0, task("say")) == first
    assert (await pool.run(1, task("say"))) != first


async def test_what_a_task_raises_comes_back_and_harms_no_later_one(
    pool: EncoderPool, task: Callable[[str], TaskContext]
) -> None:
    with pytest.raises(MediaError, match=r"^No film\.$") as refused:
        await pool.run(0, task("refuse"))
    assert (refused.value.permanent, refused.value.stderr_tail) == (True, "words")
    with pytest.raises(MediaError, match="an internal error") as refused:
        await pool.run(0, task("raise"))
    assert "Unpicklable" in refused.value.stderr_tail
    assert await pool.run(0, task("say"))


async def test_a_killed_child_costs_its_own_task_alone(pool: EncoderPool, task: Callable[[str], TaskContext]) -> None:
    other = asyncio.create_task(pool.run(1, task("wait")))
    doomed = asyncio.create_task(pool.run(0, task("deaf")))
    await wait_until(lambda: pool.read(0).progress and pool.read(1).progress)
    pool.request_stop(0)  # it does not listen
    pool.kill(0)
    with pytest.raises(MediaError, match="was killed"):
        await doomed
    assert await pool.run(0, task("say"))
    assert not other.done()
    pool.request_stop(1)
    with pytest.raises(Stopped):
        await other


async def test_a_child_that_was_killed_while_idle_is_replaced(
    pool: EncoderPool, task: Callable[[str], TaskContext]
) -> None:
    pid = (await pool.run(0, task("say")))["pid"]
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
    for _ in range(2):  # the first one may still be handed to the dead child
        try:
            answer = await pool.run(0, task("say"))
        except MediaError:
            continue
        assert answer["pid"] != pid
        break
    else:
        pytest.fail("the slot stayed dead")


async def test_a_child_whose_worker_stands_still_stops_by_itself(task: Callable[[str], TaskContext]) -> None:
    with closing(EncoderPool(1, act, lease_ttl=1.0)) as pool:
        running = asyncio.create_task(pool.run(0, task("run")))
        for _ in range(8):
            await asyncio.sleep(0.2)
            pool.confirm_lease(0)
        assert not running.done()
        with pytest.raises(Stopped):
            await running  # nobody says that the task is its own any more
    assert [child for child in psutil.Process().children(recursive=True) if "sleep" in child.name()] == []


async def test_closing_leaves_no_process(pool: EncoderPool, task: Callable[[str], TaskContext]) -> None:
    running = asyncio.create_task(pool.run(0, task("run")))
    await pool.run(1, task("say"))
    family = psutil.Process().children(recursive=True)
    await wait_until(lambda: any("sleep" in child.name() for child in psutil.Process().children(recursive=True)))
    family = [child for child in psutil.Process().children(recursive=True) if _is_ours(child)]
    await asyncio.to_thread(pool.close)
    with pytest.raises(MediaError):
        await running
    assert still_running(family) == []
    with pytest.raises(MediaError, match="leaving"):
        await pool.run(0, task("say"))


def _is_ours(child: psutil.Process) -> bool:
    return "sleep" in child.name() or "spawn_main" in " ".join(child.cmdline())


WORKER = """
import asyncio, ftplib, sys
from pathlib import Path
from tests.transcode.test_pool import act
from tests.support.workers import NO_TOOLS
from transcode.tasks.context import TaskContext
from transcode.worker.pool import EncoderPool

async def main(folder, order):
    pool = EncoderPool(1, act)
    answer = await pool.run(0, TaskContext("chunk", 1, order, folder, folder, NO_TOOLS))
    print(*answer["modules"])
    pool.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def worker(folder: Path, order: str) -> subprocess.Popen[str]:
    script = folder / "worker.py"
    script.write_text(WORKER)
    argv = [sys.executable, str(script), str(folder), order]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_children_do_not_import_the_program_that_started_the_worker(tmp_path: Path) -> None:
    with worker(tmp_path, "modules") as process:
        answer, _ = process.communicate(timeout=20)
    assert "transcode.tasks.registry" in answer.split()
    assert "ftplib" not in answer.split()  # which only the program itself imports


def test_the_kill_of_a_worker_takes_children_and_their_programs_with_it(tmp_path: Path) -> None:
    with worker(tmp_path, "run") as process:
        parent = psutil.Process(process.pid)
        deadline = time.monotonic() + 20
        while not any("sleep" in child.name() for child in parent.children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        family = parent.children(recursive=True)
        process.kill()
    assert still_running(family) == []


def test_where_the_kernel_cannot_do_it_a_process_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_death, "_prctl", None)
    parent_death.set_parent_death_signal(parent_pid=0)  # which is nobody's parent


_MODEST = """
import resource
from pathlib import Path
from transcode.ffmpeg.process import FfmpegProcess
for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
    resource.setrlimit(kind, (2**31, 2**31))
print(FfmpegProcess(["/bin/echo", "hello"], Path("/")).run())
"""


def test_a_program_starts_also_where_less_is_allowed_than_its_limits() -> None:
    done = subprocess.run([sys.executable, "-c", _MODEST], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["hello"]


def test_a_source_that_speaks_of_a_full_disk_makes_none(tmp_path: Path) -> None:
    """Or its work would be given back and begun again for ever."""
    full = os.strerror(errno.ENOSPC)
    FfmpegProcess(["/bin/sh", "-c", f"echo '[info] title : {full}' >&2"], tmp_path).run()
    with pytest.raises(MediaError, match="for a moment"):  # which spends an attempt
        FfmpegProcess(["/bin/sh", "-c", f"echo 'a second line of the title: {full}' >&2"], tmp_path).run()
