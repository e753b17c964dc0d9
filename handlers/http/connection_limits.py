"""How many connections each client has: one client must not take every place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from videoflix.accounts.rate_limits import client_network
from videoflix.settings import Settings


class ClientCount:
    """Counts the open connections of each client address; the /64 of an IPv6 address is one client.

    Behind trusted proxies every connection comes from a proxy, which has its own limits: nothing is counted then.
    """

    def __init__(self, settings: Settings) -> None:
        self.most = 0 if settings.trusted_proxies else settings.max_connections_per_address  # 0: no limit
        self._counts: Counter[str] = Counter()

    def admits(self, peer: str) -> bool:
        """Return whether this client may have one more connection; a Unix socket ("") has no address."""
        return not self.most or not peer or self._counts[client_network(peer)] < self.most

    def enter(self, peer: str) -> Callable[[], None]:
        """Count a connection; return what is to be called, once, when it is closed."""
        if not self.most or not peer:
            return lambda: None
        client = client_network(peer)
        self._counts[client] += 1
        return lambda: self._leave(client)

    def _leave(self, client: str) -> None:
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]
