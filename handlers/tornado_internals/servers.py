"""A Tornado server whose subclasses decide what is done with a new connection."""

from __future__ import annotations

from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer


class AcceptingServer(HTTPServer):
    """An HTTP server that hands each accepted socket to `accept`."""

    @property
    def open_connections(self) -> int:
        """The number of connections that are being served."""
        return len(self._connections)

    def accept(self, connection: socket, address: Any) -> None:
        """Serve the connection by `handle_stream`, or close it. A Unix socket has no address."""
        raise NotImplementedError

    def _handle_connection(self, connection: socket, address: Any) -> None:
        """Called by Tornado for each accepted socket."""
        self.accept(connection, address)
