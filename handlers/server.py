"""The HTTP server: accepts connections up to its limits."""

from __future__ import annotations

import time
from socket import socket
from typing import Any

import structlog

from handlers.application import Application
from handlers.http.connection_limits import ClientConnectionLimit, max_connections
from handlers.http.lingering import Lingering
from handlers.http.request_stream import RequestStream
from handlers.tornado_internals.servers import AcceptingServer

_log = structlog.get_logger(__name__)

_WARNING_INTERVAL_S = 60.0  # between two warnings about a limit


class Server(AcceptingServer):
    """Serves an `Application`, and tells it which connections have been closed."""

    def initialize(self, application: Application, **kwargs: Any) -> None:  # type: ignore[override]
        """Called by Tornado instead of a constructor."""
        super().initialize(application, **kwargs)
        self._application = application
        self._max_connections = max_connections()
        self._lingering = Lingering()
        self._client_limit = ClientConnectionLimit(application.services.settings)
        self._warned_at = float("-inf")

    def on_close(self, server_conn: object) -> None:
        """Called by Tornado when a connection has been closed."""
        super().on_close(server_conn)
        self._application.on_close(server_conn)

    async def close_all_connections(self) -> None:
        """Close all connections, lingering ones included."""
        await super().close_all_connections()
        self._lingering.close()

    def accept(self, connection: socket, address: Any) -> None:
        """Accept a connection. At the limit, close a lingering or else the longest-idle one first."""
        peer = str(address[0]) if address else ""
        if not self._client_limit.allows(peer):
            self._warn("client_connections_exhausted", client=peer, limit=self._client_limit.max_per_client)
            connection.close()
            return
        if self.open_connections + len(self._lingering) >= self._max_connections:
            self._warn("connections_exhausted", limit=self._max_connections)
            if not self._lingering.close_oldest() and not self._application.connections.evict_one():
                connection.close()
                return
        stream = RequestStream(
            connection,
            self._lingering,
            self._client_limit.acquire(peer),
            self._application.services.settings,
            peer,
            self.read_chunk_size,
        )
        self.handle_stream(stream, address)

    def _warn(self, event: str, **fields: object) -> None:
        if time.monotonic() - self._warned_at > _WARNING_INTERVAL_S:
            self._warned_at = time.monotonic()
            _log.warning(event, **fields)
