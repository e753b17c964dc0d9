"""Lifetime, renewal and canonical spelling of access, refresh and playback tokens."""

from __future__ import annotations

import json
import time

import jwt
import pytest

from videoflix.auth.playback_tokens import PlaybackTokens
from videoflix.auth.tokens import Tokens
from videoflix.errors import TokenNotValid
from videoflix.models import Identity, User

SECRET = "for tests only, and long enough for it"
HOUR = 3600.0


def issued_earlier(token: str, seconds: float) -> str:
    """Return the token as if it had been issued some seconds earlier."""
    claims = jwt.decode(token, SECRET, ["HS256"])
    moved = {name: int(claims[name] - seconds) for name in ("iat", "exp")}
    return jwt.encode({**claims, **moved}, SECRET, "HS256")


def test_a_shortened_lifetime_applies_to_issued_tokens() -> None:
    """Otherwise a revoked session could be forgotten before its last token expires."""
    token = issued_earlier(
        Tokens(SECRET, 12 * HOUR).issue_access_token(User(id=1, email="", password_hash=""), "session"), 2 * HOUR
    )
    assert Tokens(SECRET, 12 * HOUR).identify(token).expires > time.time() + 9 * HOUR
    assert Tokens(SECRET, 3 * HOUR).identify(token).expires < time.time() + HOUR
    with pytest.raises(TokenNotValid):
        Tokens(SECRET, HOUR).identify(token)
    identity = Tokens(SECRET, 12 * HOUR).identify(token)
    playback = issued_earlier(PlaybackTokens(SECRET, 12 * HOUR).issue(identity, 1)[0], 2 * HOUR)
    assert PlaybackTokens(SECRET, 3 * HOUR).verify(playback).video_id == 1
    with pytest.raises(TokenNotValid):
        PlaybackTokens(SECRET, HOUR).verify(playback)


def test_renewal_is_due_in_the_second_half_of_the_lifetime() -> None:
    tokens = Tokens(SECRET, HOUR)
    for left_s, is_due in ((0.51 * HOUR, False), (0.49 * HOUR, True), (-1, True)):
        assert tokens.is_renewal_due(Identity(1, "session", False, time.time() + left_s)) is is_due


@pytest.mark.parametrize("claims", [{"iat": "x"}, {"iat": None}, {"exp": "x"}, {"iat": [1]}, {"iat": 10**400}])
def test_tokens_with_malformed_times_are_rejected(claims: dict[str, object]) -> None:
    access_tokens, playback_tokens = Tokens(SECRET, HOUR), PlaybackTokens(SECRET, HOUR)
    access = access_tokens.issue_access_token(User(id=1, email="", password_hash=""), "session")
    playback, _ = playback_tokens.issue(access_tokens.identify(access), 1)
    for token, verify in ((access, access_tokens.identify), (playback, playback_tokens.verify)):
        good = jwt.decode(token, SECRET, ["HS256"])
        forged = jwt.api_jws.PyJWS().encode(json.dumps({**good, **claims}).encode(), SECRET, "HS256")
        with pytest.raises(TokenNotValid):
            verify(forged)


def other_spellings(token: str) -> list[str]:
    """Return texts that lenient decoders take for the same token."""
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    start = alphabet.index(last) // 4 * 4  # the last two bits of the last letter mean nothing
    same_bits = [token[:-1] + letter for letter in alphabet[start : start + 4] if letter != last]
    head, body, signature = token.split(".")
    return [
        *same_bits,
        *(token + extra for extra in ("=", "==", "\n", " ", "\0", "!", "A", ".", "\u00e9")),
        *(extra + token for extra in (" ", "=", "\n")),
        f"{head}=.{body}.{signature}",
        f"{head}.{body}=.{signature}",
        f"{head}.{body}.{signature[:20]}\n{signature[20:]}",
        f"{head}.{body}.{signature[:20]}+{signature[20:]}",
        token.replace(".", ". ", 1),
    ]


def test_a_token_has_one_spelling() -> None:
    tokens, playback_tokens = Tokens(SECRET, HOUR), PlaybackTokens(SECRET, HOUR)
    access = tokens.issue_access_token(User(id=1, email="", password_hash=""), "session")
    playback, _ = playback_tokens.issue(tokens.identify(access), 1)
    refresh = tokens.encode_refresh_token(tokens.create_refresh_token("session"))
    for token, verify in (
        (access, tokens.identify),
        (playback, playback_tokens.verify),
        (refresh, tokens.decode_refresh_token),
    ):
        verify(token)
        for other in other_spellings(token):
            with pytest.raises(TokenNotValid):
                verify(other)
