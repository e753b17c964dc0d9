"""What tokens are good for, and for how long."""

from __future__ import annotations

import json
import time

import jwt
import pytest

from videoflix.auth.playback_tokens import PlaybackTokens
from videoflix.auth.tokens import Tokens
from videoflix.errors import TokenNotValid
from videoflix.models import User

SECRET = "for tests only, and long enough for it"
HOUR = 3600.0


def made_earlier(token: str, seconds: float) -> str:
    """The same token, as it was written so long ago."""
    claims = jwt.decode(token, SECRET, ["HS256"])
    moved = {name: int(claims[name] - seconds) for name in ("iat", "exp")}
    return jwt.encode({**claims, **moved}, SECRET, "HS256")


def test_a_shortened_lifetime_applies_to_issued_tokens() -> None:
    """Else a session that ends could be forgotten before its last token expires."""
    token = made_earlier(
        Tokens(SECRET, 12 * HOUR).issue_access_token(User(id=1, email="", password_hash=""), "session"), 2 * HOUR
    )
    assert Tokens(SECRET, 12 * HOUR).identify(token).expires > time.time() + 9 * HOUR
    assert Tokens(SECRET, 3 * HOUR).identify(token).expires < time.time() + HOUR
    with pytest.raises(TokenNotValid):
        Tokens(SECRET, HOUR).identify(token)
    identity = Tokens(SECRET, 12 * HOUR).identify(token)
    playback = made_earlier(PlaybackTokens(SECRET, 12 * HOUR).issue(identity, 1)[0], 2 * HOUR)
    assert PlaybackTokens(SECRET, 3 * HOUR).verify(playback).video_id == 1
    with pytest.raises(TokenNotValid):
        PlaybackTokens(SECRET, HOUR).verify(playback)


@pytest.mark.parametrize("claims", [{"iat": "x"}, {"iat": None}, {"exp": "x"}, {"iat": [1]}, {"iat": 10**400}])
def test_tokens_with_malformed_times_are_rejected(claims: dict[str, object]) -> None:
    access_tokens, playback_tokens = Tokens(SECRET, HOUR), PlaybackTokens(SECRET, HOUR)
    access = access_tokens.issue_access_token(User(id=1, email="", password_hash=""), "session")
    playback, _ = playback_tokens.issue(access_tokens.identify(access), 1)
    for token, read in ((access, access_tokens.identify), (playback, playback_tokens.verify)):
        good = jwt.decode(token, SECRET, ["HS256"])
        forged = jwt.api_jws.PyJWS().encode(json.dumps({**good, **claims}).encode(), SECRET, "HS256")
        with pytest.raises(TokenNotValid):
            read(forged)


def other_spellings(token: str) -> list[str]:
    """Texts that lax decoders take for the same token."""
    *_, last = token
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(last) // 4 * 4  # the last two bits of the last letter mean nothing
    same_bits = [token[:-1] + letter for letter in alphabet[at : at + 4] if letter != last]
    head, body, signature = token.split(".")
    return [
        *same_bits,
        *(token + more for more in ("=", "==", "\n", " ", "\0", "!", "A", ".", "\u00e9")),
        *(more + token for more in (" ", "=", "\n")),
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
    for token, read in (
        (access, tokens.identify),
        (playback, playback_tokens.verify),
        (refresh, tokens.decode_refresh_token),
    ):
        read(token)
        for other in other_spellings(token):
            with pytest.raises(TokenNotValid):
                read(other)
