"""Which passwords are accepted."""

from __future__ import annotations

import pytest

from videoflix.accounts.passwords import find_password_problems


@pytest.mark.parametrize(
    ("password", "is_taken"),
    [
        ("1234567", False),
        ("12345678", False),
        ("PASSWORD123", False),
        ("qwertyuiop", False),
        ("viewer@example.org", False),
        ("correct horse battery", True),
        ("x" * 4096, True),
        ("x" * 4097, False),
        ("        ", True),  # eight characters are eight characters
    ],
)
def test_which_passwords_are_accepted(password: str, is_taken: bool) -> None:
    assert (list(find_password_problems(password, "viewer@example.org")) == []) is is_taken
