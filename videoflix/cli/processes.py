"""`videoflix web` and `videoflix worker`: the long-running processes."""

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

_SHUTDOWN_MARGIN_S = 5.0  # from the last response to the exit of a web process

Host = Annotated[str | None, typer.Option(help="Address to listen on (HOST, default 127.0.0.1).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (PORT, default 8000).")]
Processes = Annotated[int | None, typer.Option(help="Web processes on the same port (WEB_PROCESSES, default 1).")]
Sockets = Annotated[
    str | None, typer.Option(hidden=True)
]  # file descriptors inherited from the parent of several processes
Slots = Annotated[int | None, typer.Option(help="Batch tasks at once (WORKER_SLOTS, default one for each core).")]


def web(
    host: Host = None,
    port: Port = None,
    data_dir: DataDirOption = None,
    processes: Processes = None,
    sockets: Sockets = None,
) -> None:
    """Serve the API and the videos."""
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
    """Transcode uploaded videos to HLS."""
    from videoflix.bootstrap.worker import run_worker

    settings = load_command_settings(data_dir, worker_slots=slots)
    logs.configure("worker", settings.log_level)
    asyncio.run(run_worker(settings))


def build_command(*arguments: str) -> tuple[str, ...]:
    """Return the command line that starts this installation of Videoflix.

    `-P` keeps files in the current folder from shadowing modules.
    """
    return sys.executable, "-P", "-m", "videoflix", *arguments


def _serve_with_processes(settings: Settings, sockets: Sequence[socket]) -> None:
    """Run web processes that share the sockets, restarting each that ends, until SIGTERM or SIGINT.

    The sockets stay open here, so that clients are queued rather than refused while a process restarts.
    """
    supervisor = Supervisor(settings.stop_seconds + _SHUTDOWN_MARGIN_S)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, supervisor.request_stop)
    inherited = [sock.fileno() for sock in sockets]
    argv = build_command("web", "--sockets", ",".join(map(str, inherited)))
    with TemporaryDirectory(prefix="videoflix-metrics-") as folder:
        env = {**settings.as_environment(), MULTIPROC_DIR_VARIABLE: folder}
        try:
            for number in range(1, settings.web_processes + 1):
                supervisor.start(f"web-{number}", argv, env, sockets=inherited)
            supervisor.watch()
        finally:
            for sock in sockets:
                sock.close()
            supervisor.stop()
