"""Which errors of the database driver count as an outage."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, OperationFailure, WriteError

from videoflix.stores.errors import is_outage


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AutoReconnect("gone"), True), (OperationFailure("full", 14031), True),
        (OperationFailure("who are you?", 18), True), (OperationFailure("no such command", 59), False),
        (WriteError("not as the schema wants it", 121), False), (TypeError("a bug"), False),
    ],
)  # fmt: skip
def test_which_errors_of_the_driver_pass(error: Exception, passes: bool) -> None:
    assert is_outage(error) is passes
