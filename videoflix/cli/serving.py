"""The two long-running processes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from videoflix import logs
from videoflix.cli.context import DataDir, settings_here
from videoflix.composition import web as web_process
from videoflix.composition import worker as worker_process

Host = Annotated[str | None, typer.Option(help="Address to listen on (HOST, default 127.0.0.1).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (PORT, default 8000).")]
Slots = Annotated[int | None, typer.Option(help="Bulk tasks at once (WORKER_SLOTS, default half the cores).")]


def web(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Serve the API and the films."""
    settings = settings_here(data_dir, host=host, port=port)
    logs.configure("web", settings.log_level)
    asyncio.run(web_process.serve(settings, web_process.listen(settings)))


def worker(slots: Slots = None, data_dir: DataDir = None) -> None:
    """Make HLS of the films that are put in."""
    settings = settings_here(data_dir, worker_slots=slots)
    logs.configure("worker", settings.log_level)
    asyncio.run(worker_process.work(settings))
