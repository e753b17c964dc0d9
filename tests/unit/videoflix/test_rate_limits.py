"""Which addresses count as one client, and which private parts of the `limits` library are used."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import ConnectionPool

from videoflix.accounts.rate_limits import _BatchingRedis, _create_storage, client_network, neighbourhood_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_a_household_is_one_client(address: str, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize(
    ("address", "neighbourhood"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("unix:", "unknown"),
    ],
)
def test_a_network_is_one_neighbourhood(address: str, neighbourhood: str) -> None:
    assert neighbourhood_of(client_network(address)) == neighbourhood


def test_the_limits_library_uses_our_redis_client() -> None:
    """Its `connection_getter` and `register_scripts` are not documented."""
    client = _BatchingRedis(ConnectionPool())
    bridge: Any = _create_storage(client).bridge
    assert bridge.get_connection() is bridge.get_connection(readonly=True) is client
    for script in (bridge.lua_sliding_window, bridge.lua_acquire_sliding_window):
        assert script.registered_client is client
