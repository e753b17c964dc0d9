"""Access tokens as if they were older."""

from __future__ import annotations

import time

import jwt

from tests.support.http_client import HttpClient
from videoflix.settings import Settings


def token_expiring_in(client: HttpClient, settings: Settings, left_s: float) -> str:
    """Return the client's access token as if it had `left_s` seconds to live."""
    secret = settings.secret_key.get_secret_value()
    claims = jwt.decode(client.cookies["access_token"], secret, ["HS256"])
    return jwt.encode({**claims, "exp": int(time.time() + left_s)}, secret, "HS256")
