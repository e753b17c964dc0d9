"""The address of a client behind reverse proxies."""

from __future__ import annotations

import pytest

from handlers.http.client_address import client_address


@pytest.mark.parametrize(
    ("trusted", "header", "client"),
    [
        (0, "192.0.2.1", "203.0.113.9"),
        (1, "", "203.0.113.9"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "10.9.8.7, 192.0.2.1", "192.0.2.1"),
        (1, "10.9.8.7,192.0.2.1 ,", "192.0.2.1"),
        (2, "10.9.8.7, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "192.0.2.1", "192.0.2.1"),
        (1, "192.0.2.1:50123", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:DB8::1]", "2001:db8::1"),
        (1, "[2001:db8::1]:50123", "2001:db8::1"),
        (1, "fe80::1%eth0 user=1", "fe80::1"),
        (1, "192.0.2.1, unknown", "203.0.113.9"),
        (1, "192.0.2.1:50123:1", "203.0.113.9"),
        (1, "[192.0.2.1", "203.0.113.9"),
        (1, "192.0.2.1\n", "192.0.2.1"),
        (1, "192.0.2.\u0661", "203.0.113.9"),
    ],
)
def test_the_client_is_the_peer_of_the_first_trusted_proxy(trusted: int, header: str, client: str) -> None:
    assert client_address("203.0.113.9", {"X-Forwarded-For": header}, trusted) == client
