"""The web process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import Sequence
from socket import IPPROTO_TCP, SO_SNDBUF, SOL_SOCKET, TCP_NOTSENT_LOWAT, socket

import structlog
from tornado.netutil import bind_sockets

from handlers.routes import make_application
from handlers.server import Server
from videoflix.bootstrap.services import open_application
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.startup_checks import require_media_root

_log = structlog.get_logger(__name__)

_UPLOAD_CHUNK_BYTES = 256 * 1024  # how much of an upload a handler gets at once
_READ_CHUNK_BYTES = 64 * 1024  # read by one call; a buffer of this size is cleared each time, even for a short request
_LISTEN_BACKLOG = 1024  # connections that wait to be accepted
# Send buffer of a connection, which the kernel doubles. A segment of 1 MB is sent in one go: while all cores encode,
# waiting for this process to be scheduled again took a third of a viewer's time. With a larger buffer, 32 clients evict
# segments of 4 MB from the CPU cache, which halves the throughput.
_SEND_BUFFER_BYTES = 640 * 1024
_MAX_UNSENT_BYTES = 512 * 1024  # how much a slow viewer may leave in the kernel's buffer
_CLOSE_TIMEOUT_S = 2.0  # seconds for connections to close that did not drain in time


def listen(settings: Settings) -> Sequence[socket]:
    """Open the sockets of the web server. Raises CommandError if the port cannot be used."""
    try:
        sockets = bind_sockets(settings.port, settings.host, backlog=_LISTEN_BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "choose another one with --port or PORT."
        ) from None
    for listener in sockets:  # connections inherit the options
        if _can_set_send_buffer(_SEND_BUFFER_BYTES):
            listener.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER_BYTES)
        listener.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, _MAX_UNSENT_BYTES)
    return sockets


def _can_set_send_buffer(size: int) -> bool:
    """Return whether the system allows this size (net.core.wmem_max); if not, its automatic tuning does better."""
    with socket() as probe:
        probe.setsockopt(SOL_SOCKET, SO_SNDBUF, size)
        return probe.getsockopt(SOL_SOCKET, SO_SNDBUF) >= size


async def serve(settings: Settings, sockets: Sequence[socket]) -> None:
    """Serve requests until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _raise_open_files_limit()
    require_media_root(settings.media_root)
    async with open_application(settings) as (services, jobs), jobs.run_in_background():
        await services.index_sync.get_index()  # so that the first request does not wait for it
        application = make_application(services)
        server = Server(application, chunk_size=_UPLOAD_CHUNK_BYTES)
        server.read_chunk_size = _READ_CHUNK_BYTES
        server.conn_params.header_timeout = None  # handlers.application closes idle connections
        gc.collect()
        gc.freeze()  # keeps what is loaded out of collections: a large catalogue would cause pauses of 50 ms
        server.add_sockets(sockets)
        _log.info("web_started", port=settings.port)
        await stop.wait()
        server.stop()
        _log.info("web_stopping", timeout_s=settings.stop_seconds)
        await asyncio.gather(
            application.fast_path.transfers.drain(settings.stop_seconds),
            application.connections.drain(settings.stop_seconds),
        )
        await asyncio.wait([asyncio.ensure_future(server.close_all_connections())], timeout=_CLOSE_TIMEOUT_S)
    _log.info("web_stopped")


def _raise_open_files_limit() -> None:
    """Raise the limit of open files to what the system allows, often far above the default of 1,024.

    A viewer takes up to three descriptors.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, max(soft, 10_240)):  # macOS reports "unlimited" but allows 10,240
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
