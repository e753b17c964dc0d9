"""Which passwords are accepted, and the default cost of hashes."""

from __future__ import annotations

import pytest

from videoflix.accounts.passwords import HashCost, find_password_problems
from videoflix.settings import Settings


@pytest.mark.parametrize(
    ("password", "is_accepted"),
    [
        ("1234567", False),
        ("12345678", False),
        ("PASSWORD123", False),
        ("qwertyuiop", False),
        ("viewer@example.org", False),
        ("correct horse battery", True),
        ("x" * 4096, True),
        ("x" * 4097, False),
        ("        ", True),  # any eight characters will do
    ],
)
def test_which_passwords_are_accepted(password: str, is_accepted: bool) -> None:
    assert (list(find_password_problems(password, "viewer@example.org")) == []) is is_accepted


def test_the_default_cost_is_what_owasp_asks_for() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert HashCost() == HashCost(
        defaults["password_memory_mib"], defaults["password_iterations"], defaults["password_lanes"]
    )
    assert (HashCost().memory_mib, HashCost().iterations, HashCost().parallelism) == (19, 2, 1)
