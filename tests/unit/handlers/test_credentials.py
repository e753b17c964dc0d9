"""`handlers.credentials`: which credential counts. The media tests apply the rules to both serving paths."""

from __future__ import annotations

import pytest

from handlers.credentials import Credential, CredentialKind, bearer_token, find_credential

BEARER, PLAYBACK, COOKIE = CredentialKind.BEARER, CredentialKind.PLAYBACK, CredentialKind.COOKIE


@pytest.mark.parametrize(
    ("authorization", "playback_token", "access_cookie", "expected"),
    [
        ("Bearer b", "", None, Credential(BEARER, "b")),
        ("bearer  b ", "p", "c", Credential(BEARER, "b")),
        (None, "p", "c", Credential(PLAYBACK, "p")),
        (None, "p", None, Credential(PLAYBACK, "p")),
        (None, "", "c", Credential(COOKIE, "c")),
        (None, None, "c", Credential(COOKIE, "c")),
        ("Basic b", "p", "c", Credential(COOKIE, "c")),
        ("Bearer ", "p", "c", Credential(COOKIE, "c")),
        ("", "p", "c", Credential(COOKIE, "c")),
        ("Basic b", "p", None, None),
        (None, "", "", None),
        (None, None, None, None),
    ],
)
def test_the_first_credential_counts(
    authorization: str | None, playback_token: str | None, access_cookie: str | None, expected: Credential | None
) -> None:
    assert find_credential(authorization, playback_token, access_cookie) == expected


def test_an_empty_bearer_token_is_not_another_scheme() -> None:
    assert bearer_token("Bearer") == ""
    assert bearer_token("Basic x") is None
    assert bearer_token(None) is None


def test_a_credential_does_not_show_its_token() -> None:
    assert "secret" not in repr(Credential(BEARER, "secret"))
