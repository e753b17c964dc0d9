"""Who sends a request: the one rule that the fast path and all handlers apply to its credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from videoflix.auth.verifier import TokenVerifier
from videoflix.errors import NotAuthenticated
from videoflix.models import Identity


class CredentialKind(Enum):
    """Where a request carries its token."""

    BEARER = auto()
    PLAYBACK = auto()
    COOKIE = auto()


@dataclass(frozen=True, slots=True)
class Credential:
    """The token that identifies the sender of a request: a playback token, else an access token."""

    kind: CredentialKind
    token: str = field(repr=False)


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750, section 2.1), or None for another scheme or none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def find_credential(
    authorization: str | None, playback_token: str | None, access_cookie: str | None
) -> Credential | None:
    """Return the credential that counts: the Bearer token, else the playback token, else the access cookie.

    No other one is tried if that is not valid. A playback token beside any `Authorization` header is ignored. An empty
    token is no credential.
    """
    if token := bearer_token(authorization):
        return Credential(CredentialKind.BEARER, token)
    if playback_token and authorization is None:
        return Credential(CredentialKind.PLAYBACK, playback_token)
    return Credential(CredentialKind.COOKIE, access_cookie) if access_cookie else None


def authorize_media(credential: Credential | None, verifier: TokenVerifier, video_id: int) -> Identity:
    """Return who may have the published files of this video. Pure CPU.

    Raises NotAuthenticated without a credential, and TokenNotValid, also for a playback token of another video.
    """
    if credential is None:
        raise NotAuthenticated
    if credential.kind is CredentialKind.PLAYBACK:
        return verifier.verify_playback_token(credential.token, video_id)
    return verifier.verify_access_token(credential.token)
