"""Which addresses count as one client."""

from __future__ import annotations

import pytest

from videoflix.accounts.rate_limits import client_network, neighbourhood_of


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
