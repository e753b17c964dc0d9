"""The web process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from socket import IPPROTO_TCP, SO_SNDBUF, SOL_SOCKET, TCP_NOTSENT_LOWAT, socket

from tornado.netutil import bind_sockets

from handlers.routes import make_application
from handlers.server import Server
from videoflix.bootstrap.services import open_services
from videoflix.errors import CommandError
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.startup_checks import require_media_root

_log = logging.getLogger(__name__)

_UPLOAD_CHUNK_BYTES = 256 * 1024  # bytes of an upload that are handed on at once
_READ_CHUNK_BYTES = (
    64 * 1024
)  # bytes that one call reads; room for so many is cleared each time, also for a request of 300
_LISTEN_BACKLOG = 1024  # connections that wait to be accepted
# Bytes that the socket of a connection takes; the kernel doubles it. A segment of 1 MB goes out whole: while all cores
# encode, waiting for this process to be woken again took a viewer a third of the time. With more, 32 clients drive
# segments of 4 MB out of the processor's cache, which makes them half as fast.
_SEND_BUFFER_BYTES = 640 * 1024
# Bytes of it that may lie there while the network takes no more: what slow viewers cost the kernel.
_MAX_UNSENT_BYTES = 512 * 1024
_CLOSE_TIMEOUT_S = 2.0  # seconds for connections to close that were not answered in time


def listen(settings: Settings) -> Sequence[socket]:
    """The sockets of the web server. Raises CommandError when the port is not to be had."""
    try:
        sockets = bind_sockets(settings.port, settings.host, backlog=_LISTEN_BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "choose another one with --port or PORT."
        ) from None
    for bound in sockets:  # connections inherit it
        if _can_set_send_buffer(_SEND_BUFFER_BYTES):
            bound.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER_BYTES)
        bound.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, _MAX_UNSENT_BYTES)
    return sockets


def _can_set_send_buffer(size: int) -> bool:
    """Whether the system lets a socket have so much (net.core.wmem_max); else its own tuning goes further."""
    with socket() as probe:
        probe.setsockopt(SOL_SOCKET, SO_SNDBUF, size)
        return probe.getsockopt(SOL_SOCKET, SO_SNDBUF) >= size


async def serve(settings: Settings, sockets: Sequence[socket]) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _raise_open_files_limit()
    require_media_root(settings.media_root)
    async with open_services(settings) as services, _run_background_jobs(services):
        await services.index_sync.get_index()  # read now, so that the first visitor does not wait for it
        application = make_application(services)
        server = Server(application, chunk_size=_UPLOAD_CHUNK_BYTES)
        server.read_chunk_size = _READ_CHUNK_BYTES
        server.conn_params.header_timeout = None  # the entrance closes idle connections
        gc.collect()
        gc.freeze()  # what is here stays: looking for garbage in a large catalogue would stop everything for 50 ms
        server.add_sockets(sockets)
        _log.info("web listening port=%d", settings.port)
        await stop.wait()
        server.stop()
        _log.info("web stopping seconds=%g", settings.stop_seconds)
        await asyncio.gather(
            application.fast_path.transfers.drain(settings.stop_seconds),
            application.connections.drain(settings.stop_seconds),
        )
        await asyncio.wait([asyncio.ensure_future(server.close_all_connections())], timeout=_CLOSE_TIMEOUT_S)
    _log.info("web stopped")


@asynccontextmanager
async def _run_background_jobs(services: Services) -> AsyncIterator[None]:
    """What goes on beside the requests."""
    async with (
        services.mailer.run_in_background(),
        services.video_purge.run_in_background(),
        services.unconfirmed_accounts.run_in_background(),
        services.account_purge.run_in_background(),
        services.metrics.run_in_background(),
    ):
        yield


def _raise_open_files_limit() -> None:
    """A viewer takes up to three descriptors; most systems start a process with a limit of 1,024 and allow more."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (most, max(now, 10_240)):  # macOS says "unlimited" and means 10,240
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            return
