"""Sessions: from sign-in to sign-out, and the refresh tokens that keep them alive."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from videoflix.auth.revocations import Revocations
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.auth.tokens import RefreshToken, Tokens
from videoflix.errors import NotFound, TokenNotValid
from videoflix.models import Client, Session, User, now
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore

_REUSE_GRACE_PERIOD = timedelta(seconds=30)  # two tabs, or an answer that was lost: the predecessor may come once more
_MAX_SESSIONS_PER_USER = 100  # sessions of one user, more or less; a household with many devices has a dozen
_LOGINS_PER_LIMIT_CHECK = (
    10  # sign-ins, one of which looks how many there are, by chance: it costs a question to the database
)
_MAX_USER_AGENT_LENGTH = 300  # characters of a User-Agent header that are kept


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What the cookies of a session carry, as texts."""

    access_token: str
    refresh_token: str


class Sessions:
    """`lifetime` of a session from its last refresh on."""

    def __init__(
        self, store: SessionStore, users: UserStore, tokens: Tokens, revocations: Revocations, lifetime: timedelta
    ) -> None:
        self._store = store
        self._users = users
        self._tokens = tokens
        self._revocations = revocations
        self._lifetime = lifetime

    async def open(self, user: User, client: Client) -> TokenPair:
        """Begin a session. Raises NotFound when the user lost the right to it at this very moment."""
        token = self._tokens.create_refresh_token(secrets.token_urlsafe(16))
        session = Session(
            id=token.session_id,
            user_id=user.id,
            current=token.hash,
            expires_at=now() + self._lifetime,
            device=client.device[:_MAX_USER_AGENT_LENGTH],
            address=client.address,
        )
        await self._store.add(session)
        # Whoever disables a user, or sets a password anew, ends the sessions that there are: was this one too late?
        try:
            current = await self._users.get(user.id)
            if current.password_hash != user.password_hash or not current.can_sign_in:
                raise NotFound
        except NotFound:
            await self.end(_id=session.id)
            raise
        if secrets.randbelow(_LOGINS_PER_LIMIT_CHECK) == 0:
            await self._enforce_session_limit(user)
        log_event(SecurityEvent.SESSION_CREATED, user=user.id, session=session.id, client=client.address)
        return TokenPair(self._tokens.issue_access_token(current, session.id), self._tokens.encode_refresh_token(token))

    async def _enforce_session_limit(self, user: User) -> None:
        """Those that were not seen for longest make room."""
        if beyond := await self._store.list_over_limit(user.id, _MAX_SESSIONS_PER_USER):
            await self.end(_id={"$in": beyond})

    async def refresh(self, refresh_token: str, client: Client) -> TokenPair:
        """Exchange a refresh token for the next one. Raises TokenNotValid."""
        token = self._tokens.decode_refresh_token(refresh_token)
        following = self._tokens.derive_next_refresh_token(token)
        seen = {**_last_seen_fields(client), "expires_at": now() + self._lifetime}
        if not await self._store.rotate(token.session_id, token.hash, following.hash, seen):
            following = self._newest_after(token, await self._require_predecessor(token, client))
        user = await self._get_owner(token.session_id)
        log_event(SecurityEvent.SESSION_RENEWED, user=user.id, session=token.session_id, client=client.address)
        return TokenPair(
            self._tokens.issue_access_token(user, token.session_id), self._tokens.encode_refresh_token(following)
        )

    async def renew_access_token(self, refresh_token: str, client: Client) -> str:
        """Another access token for the holder of a refresh token, which stays as it is. Raises TokenNotValid."""
        token = self._tokens.decode_refresh_token(refresh_token)
        session = await self._get_active(token.session_id)
        if session.current != token.hash:
            await self._require_predecessor(token, client)
        await self._store.touch(session.id, _last_seen_fields(client))
        return self._tokens.issue_access_token(await self._get_owner(session.id), session.id)

    async def close(self, refresh_token: str, client: Client) -> None:
        """End the session of a refresh token; one that opens nothing ends nothing."""
        try:
            token = self._tokens.decode_refresh_token(refresh_token)
        except TokenNotValid:
            return
        await self.end(_id=token.session_id)
        log_event(SecurityEvent.TOKEN_REVOKED, session=token.session_id, client=client.address)

    async def list_for_user(self, user_id: int) -> Sequence[Session]:
        """Those that live, the one that was seen last first."""
        return await self._store.list_for_user(user_id)

    async def end(self, **filters: object) -> int:
        """End those that match (`_id=`, `user_id=`), at once and in every process; how many there were."""
        until = now() + timedelta(seconds=self._revocations.lifetime_s)
        ended = await self._store.end(until, **filters)
        await self._revocations.revoke(ended)
        return len(ended)

    async def _get_active(self, session_id: str) -> Session:
        try:
            return await self._store.get(session_id)
        except NotFound:
            raise TokenNotValid from None

    async def _get_owner(self, session_id: str) -> User:
        session = await self._get_active(session_id)
        try:
            user = await self._users.get(session.user_id)
        except NotFound:
            raise TokenNotValid from None
        if not user.can_sign_in:
            raise TokenNotValid
        return user

    def _newest_after(self, token: RefreshToken, session: Session) -> RefreshToken:
        """Return the current token of a session, which grew out of one of its predecessors.

        Every replaced token that still has its grace leads there, however often another tab has refreshed since.
        """
        for _ in range(len(session.predecessors) + 1):
            token = self._tokens.derive_next_refresh_token(token)
            if token.hash == session.current:
                return token
        raise TokenNotValid

    async def _require_predecessor(self, token: RefreshToken, client: Client) -> Session:
        """Return the session of a genuine token that is not current. Raises TokenNotValid.

        A token has its grace from the moment on in which it was replaced. One that is older was stolen, or its thief
        was faster; nobody can tell which, so the whole family ends (RFC 9700, 4.14.2).
        """
        session = await self._get_active(token.session_id)
        if any(
            token.hash == hash_ and now() - replaced <= _REUSE_GRACE_PERIOD
            for hash_, replaced in _predecessors(session)
        ):
            return session
        await self.end(_id=session.id)
        log_event(SecurityEvent.TOKEN_REUSE, user=session.user_id, session=session.id, client=client.address)
        raise TokenNotValid


def _predecessors(session: Session) -> Iterable[tuple[str, datetime]]:
    """Return replaced tokens and when; of a session that an older version has rotated, the last one."""
    last = [(session.previous, session.rotated_at)] if session.previous else []
    return [*session.predecessors, *last]


def _last_seen_fields(client: Client) -> dict[str, object]:
    return {"last_seen": now(), "device": client.device[:_MAX_USER_AGENT_LENGTH], "address": client.address}
