"""The web process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from socket import socket

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from handlers.routes import make_application
from videoflix.composition.root import open_services
from videoflix.errors import CommandError
from videoflix.settings import Settings

_log = logging.getLogger(__name__)

_CHUNK = 256 * 1024  # bytes that are read of an upload at once
_LAST_ANSWERS = 5.0  # seconds that open requests have when the process stops


def listen(settings: Settings) -> Sequence[socket]:
    """The sockets of the web server. Raises CommandError when the port is not to be had."""
    try:
        return bind_sockets(settings.port, settings.host)
    except OSError as error:
        raise CommandError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "choose another one with --port or PORT."
        ) from None


async def serve(settings: Settings, sockets: Sequence[socket]) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_services(settings) as services:
        server = HTTPServer(
            make_application(services), xheaders=settings.trusted_proxies > 0, chunk_size=_CHUNK, no_keep_alive=False
        )
        server.add_sockets(sockets)
        _log.info("web listening port=%d", settings.port)
        await stop.wait()
        server.stop()
        await asyncio.wait([asyncio.ensure_future(server.close_all_connections())], timeout=_LAST_ANSWERS)
    _log.info("web stopped")
