"""How many connections a web process serves, in all and for one client."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable

from videoflix.accounts.rate_limits import client_network
from videoflix.settings import Settings

_MAX_CONNECTIONS = 10_000
_DESCRIPTORS_PER_CONNECTION = 3  # a viewer takes its socket, a duplicate of it and a file
_RESERVED_DESCRIPTORS = 100  # for everything else: databases, logs


def max_connections() -> int:
    """Return the maximum number of connections for which the process has enough file descriptors."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(_MAX_CONNECTIONS, (descriptors - _RESERVED_DESCRIPTORS) // _DESCRIPTORS_PER_CONNECTION))


class ClientConnectionLimit:
    """Counts the open connections of each client address; the /64 of an IPv6 address is one client.

    Behind trusted proxies nothing is counted: every connection comes from a proxy, which has its own limits.
    """

    def __init__(self, settings: Settings) -> None:
        self.max_per_client = 0 if settings.trusted_proxies else settings.max_connections_per_address  # 0: no limit
        self._counts: Counter[str] = Counter()

    def allows(self, peer: str) -> bool:
        """Return whether this client may open another connection. A Unix socket ("") has no address and no limit."""
        return not self.max_per_client or not peer or self._counts[client_network(peer)] < self.max_per_client

    def acquire(self, peer: str) -> Callable[[], None]:
        """Count a connection of this client. Return a function to call once when it is closed."""
        if not self.max_per_client or not peer:
            return lambda: None
        client = client_network(peer)
        self._counts[client] += 1
        return lambda: self._release(client)

    def _release(self, client: str) -> None:
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]
