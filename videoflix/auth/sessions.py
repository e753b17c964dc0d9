"""Sessions, from login to logout, and the rotation of their refresh tokens."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from videoflix.auth.revocations import Revocations
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.auth.tokens import RefreshToken, Tokens
from videoflix.errors import NotFound, TokenNotValid
from videoflix.models import Client, Session, User, now
from videoflix.stores.sessions import LastSeen, SessionStore
from videoflix.stores.users import UserStore

# How long a replaced refresh token stays valid: two tabs may present the same one, and a response may get lost.
_REUSE_GRACE_PERIOD = timedelta(seconds=30)
_MAX_SESSIONS_PER_USER = 100  # approximately; a household with many devices has a dozen
_LOGINS_PER_LIMIT_CHECK = 10  # on average every tenth login enforces the session limit, to spare a query
_MAX_USER_AGENT_LENGTH = 300  # characters of the User-Agent header that are stored
_SESSION_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The encoded tokens that the cookies of a session carry."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


class Sessions:
    """Opens, refreshes and ends sessions. A session expires `lifetime` after its last refresh."""

    def __init__(
        self, store: SessionStore, users: UserStore, tokens: Tokens, revocations: Revocations, lifetime: timedelta
    ) -> None:
        self._store = store
        self._users = users
        self._tokens = tokens
        self._revocations = revocations
        self._lifetime = lifetime

    async def open(self, user: User, client: Client) -> TokenPair:
        """Open a session. Raises NotFound if the user lost the right to log in since `user` was read."""
        token = self._tokens.create_refresh_token(secrets.token_urlsafe(_SESSION_ID_BYTES))
        session = Session(
            id=token.session_id,
            user_id=user.id,
            current=token.hash,
            expires_at=now() + self._lifetime,
            device=client.device[:_MAX_USER_AGENT_LENGTH],
            address=client.address,
        )
        await self._store.add(session)
        # Disabling a user and setting a password end the existing sessions. This one may have come too late for that.
        try:
            current = await self._users.get(user.id)
            if current.password_hash != user.password_hash or not current.can_sign_in:
                raise NotFound
        except NotFound:
            await self.end([session.id])
            raise
        if secrets.randbelow(_LOGINS_PER_LIMIT_CHECK) == 0:
            await self._enforce_session_limit(user)
        log_event(SecurityEvent.SESSION_CREATED, user_id=user.id, session_id=session.id, client=client.address)
        return TokenPair(self._tokens.issue_access_token(current, session.id), self._tokens.encode_refresh_token(token))

    async def _enforce_session_limit(self, user: User) -> None:
        """End a user's least recently used sessions beyond the limit."""
        if excess_ids := await self._store.list_over_limit(user.id, _MAX_SESSIONS_PER_USER):
            await self.end(excess_ids)

    async def refresh(self, refresh_token: str, client: Client) -> TokenPair:
        """Exchange a refresh token for the current one of its session. Raises TokenNotValid."""
        token = self._tokens.decode_refresh_token(refresh_token)
        next_token = self._tokens.derive_next_refresh_token(token)
        expires_at = now() + self._lifetime
        if not await self._store.rotate(token.session_id, token.hash, next_token.hash, _last_seen(client), expires_at):
            next_token = self._current_after(token, await self._require_predecessor(token, client))
        user = await self._get_owner(token.session_id)
        log_event(SecurityEvent.SESSION_RENEWED, user_id=user.id, session_id=token.session_id, client=client.address)
        return TokenPair(
            self._tokens.issue_access_token(user, token.session_id), self._tokens.encode_refresh_token(next_token)
        )

    async def renew_access_token(self, refresh_token: str, client: Client) -> str:
        """Return another access token for a refresh token, which is not rotated. Raises TokenNotValid."""
        token = self._tokens.decode_refresh_token(refresh_token)
        session = await self._get_active(token.session_id)
        if session.current != token.hash:
            await self._require_predecessor(token, client)
        await self._store.touch(session.id, _last_seen(client))
        return self._tokens.issue_access_token(await self._get_owner(session.id), session.id)

    async def close(self, refresh_token: str, client: Client) -> None:
        """End the session of a refresh token; ignore a token that is not valid."""
        try:
            token = self._tokens.decode_refresh_token(refresh_token)
        except TokenNotValid:
            return
        await self.end([token.session_id])
        log_event(SecurityEvent.TOKEN_REVOKED, session_id=token.session_id, client=client.address)

    async def list_for_user(self, user_id: int) -> Sequence[Session]:
        """Return a user's active sessions, most recently used first."""
        return await self._store.list_for_user(user_id)

    async def end(self, session_ids: Collection[str] | None = None, *, user_id: int | None = None) -> int:
        """End sessions, at once and in every process; return how many.

        Both conditions apply if both are given; without `session_ids` all sessions of the user end.
        """
        until = now() + timedelta(seconds=self._revocations.lifetime_s)
        ended_ids = await self._store.end(until, session_ids, user_id=user_id)
        await self._revocations.revoke(ended_ids)
        return len(ended_ids)

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

    def _current_after(self, token: RefreshToken, session: Session) -> RefreshToken:
        """Return the current token of a session, derived from one of its predecessors. Raises TokenNotValid.

        Every replaced token within its grace period leads there, however often another tab has refreshed since.
        """
        for _ in range(len(session.predecessors) + 1):
            token = self._tokens.derive_next_refresh_token(token)
            if token.hash == session.current:
                return token
        raise TokenNotValid

    async def _require_predecessor(self, token: RefreshToken, client: Client) -> Session:
        """Return the session of a genuine token that is not current. Raises TokenNotValid.

        The grace period of a token begins when it is replaced. An older one means theft: it was stolen, or its owner
        was overtaken by the thief. The two cannot be told apart, so the session ends (RFC 9700, section 4.14.2).
        """
        session = await self._get_active(token.session_id)
        if any(
            token.hash == hash_ and now() - replaced_at <= _REUSE_GRACE_PERIOD
            for hash_, replaced_at in _predecessors(session)
        ):
            return session
        await self.end([session.id])
        log_event(SecurityEvent.TOKEN_REUSE, user_id=session.user_id, session_id=session.id, client=client.address)
        raise TokenNotValid


def _predecessors(session: Session) -> Iterable[tuple[str, datetime]]:
    """Return the hashes of replaced tokens, each with the time of its replacement.

    Sessions rotated by older versions have the last one in fields of its own.
    """
    previous = [(session.previous, session.rotated_at)] if session.previous else []
    return [*session.predecessors, *previous]


def _last_seen(client: Client) -> LastSeen:
    return {"last_seen": now(), "device": client.device[:_MAX_USER_AGENT_LENGTH], "address": client.address}
