"""The long-running processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from socket import socket
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from videoflix import logs
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.embedded.supervisor import Supervisor
from videoflix.metrics import MULTIPROC_DIR_VARIABLE
from videoflix.settings import Settings

_SHUTDOWN_MARGIN_S = 5.0  # seconds from the last answer to the end of a web process

Host = Annotated[str | None, typer.Option(help="Address to listen on (HOST, default 127.0.0.1).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (PORT, default 8000).")]
Processes = Annotated[int | None, typer.Option(help="Web processes on the same port (WEB_PROCESSES, default 1).")]
Sockets = Annotated[str | None, typer.Option(hidden=True)]  # descriptors that a parent of several processes hands down
Slots = Annotated[int | None, typer.Option(help="Bulk tasks at once (WORKER_SLOTS, default one for each core).")]


def web(
    host: Host = None,
    port: Port = None,
    data_dir: DataDirOption = None,
    processes: Processes = None,
    sockets: Sockets = None,
) -> None:
    """Serve the API and the films."""
    from videoflix.bootstrap import web as web_process

    settings = load_command_settings(data_dir, host=host, port=port, web_processes=processes)
    logs.configure("web", settings.log_level)
    if sockets:
        asyncio.run(web_process.serve(settings, [socket(fileno=int(number)) for number in sockets.split(",")]))
    elif settings.web_processes == 1:
        asyncio.run(web_process.serve(settings, web_process.listen(settings)))
    else:
        _serve_with_processes(settings, web_process.listen(settings))


def worker(slots: Slots = None, data_dir: DataDirOption = None) -> None:
    """Make HLS of the films that are put in."""
    from videoflix.bootstrap.worker import run_worker

    settings = load_command_settings(data_dir, worker_slots=slots)
    logs.configure("worker", settings.log_level)
    asyncio.run(run_worker(settings))


def build_command(*arguments: str) -> tuple[str, ...]:
    """Starts this very Videoflix: `-P` leaves out what lies in the current folder under the name of a module."""
    return sys.executable, "-P", "-m", "videoflix", *arguments


def _serve_with_processes(settings: Settings, sockets: Sequence[socket]) -> None:
    """Processes that accept from the same sockets, each started again when it ends, until SIGTERM or SIGINT.

    The sockets stay open here: while a process is started again, clients wait for the others instead of being refused.
    """
    supervisor = Supervisor(settings.stop_seconds + _SHUTDOWN_MARGIN_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.request_stop)
    inherited = [bound.fileno() for bound in sockets]
    argv = build_command("web", "--sockets", ",".join(map(str, inherited)))
    with TemporaryDirectory(prefix="videoflix-metrics-") as folder:
        env = {**settings.as_environment(), MULTIPROC_DIR_VARIABLE: folder}
        try:
            for place in range(settings.web_processes):
                supervisor.start(f"web-{place + 1}", argv, env, sockets=inherited)
            supervisor.watch()
        finally:
            for bound in sockets:
                bound.close()
            supervisor.stop()
