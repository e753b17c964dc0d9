"""Sessions: from sign-in to sign-out, and the refresh tokens that keep them alive."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from videoflix.accounts.events import Event, log
from videoflix.accounts.revocations import Revocations
from videoflix.accounts.tokens import RefreshToken, Tokens
from videoflix.errors import NotFound, TokenNotValid
from videoflix.models import Client, Session, User, now
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore

_GRACE = timedelta(seconds=30)  # two tabs, or an answer that was lost: the predecessor may come once more
_MOST = 100  # sessions of one user, more or less; a household with many devices has a dozen
_LOOK = 10  # sign-ins, one of which looks how many there are, by chance: it costs a question to the database
_LONGEST = 300  # characters of a User-Agent header that are kept


@dataclass(frozen=True, slots=True)
class Pass:
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

    async def open(self, user: User, client: Client) -> Pass:
        """Begin a session. Raises NotFound when the user lost the right to it at this very moment."""
        token = self._tokens.first(secrets.token_urlsafe(16))
        session = Session(
            id=token.session_id,
            user_id=user.id,
            current=token.hash,
            expires_at=now() + self._lifetime,
            device=client.device[:_LONGEST],
            address=client.address,
        )
        await self._store.add(session)
        # Whoever disables a user, or sets a password anew, ends the sessions that there are: was this one too late?
        try:
            current = await self._users.get(user.id)
            if current.password_hash != user.password_hash or not current.may_sign_in:
                raise NotFound
        except NotFound:
            await self.end(_id=session.id)
            raise
        if secrets.randbelow(_LOOK) == 0:
            await self._end_beyond(user)
        log(Event.SESSION_CREATED, user=user.id, session=session.id, client=client.address)
        return Pass(self._tokens.access(current, session.id), self._tokens.written(token))

    async def _end_beyond(self, user: User) -> None:
        """Those that were not seen for longest make room."""
        if beyond := await self._store.beyond(user.id, _MOST):
            await self.end(_id={"$in": beyond})

    async def refresh(self, text: str, client: Client) -> Pass:
        """Exchange a refresh token for the next one. Raises TokenNotValid."""
        token = self._tokens.read(text)
        following = self._tokens.next(token)
        seen = {**_seen(client), "expires_at": now() + self._lifetime}
        if not await self._store.rotate(token.session_id, token.hash, following.hash, seen):
            following = self._newest_after(token, await self._require_predecessor(token, client))
        user = await self._owner(token.session_id)
        log(Event.SESSION_RENEWED, user=user.id, session=token.session_id, client=client.address)
        return Pass(self._tokens.access(user, token.session_id), self._tokens.written(following))

    async def renew(self, text: str, client: Client) -> str:
        """Another access token for the holder of a refresh token, which stays as it is. Raises TokenNotValid."""
        token = self._tokens.read(text)
        session = await self._living(token.session_id)
        if session.current != token.hash:
            await self._require_predecessor(token, client)
        await self._store.touch(session.id, _seen(client))
        return self._tokens.access(await self._owner(session.id), session.id)

    async def close(self, text: str, client: Client) -> None:
        """End the session of a refresh token; one that opens nothing ends nothing."""
        try:
            token = self._tokens.read(text)
        except TokenNotValid:
            return
        await self.end(_id=token.session_id)
        log(Event.TOKEN_REVOKED, session=token.session_id, client=client.address)

    async def of_user(self, user_id: int) -> Sequence[Session]:
        """Those that live, the one that was seen last first."""
        return await self._store.of_user(user_id)

    async def end(self, **of: object) -> int:
        """End those that match (`_id=`, `user_id=`), at once and in every process; how many there were."""
        until = now() + timedelta(seconds=self._revocations.lifetime)
        ended = await self._store.end(until, **of)
        await self._revocations.revoke(ended)
        return len(ended)

    async def _living(self, session_id: str) -> Session:
        try:
            return await self._store.get(session_id)
        except NotFound:
            raise TokenNotValid from None

    async def _owner(self, session_id: str) -> User:
        session = await self._living(session_id)
        try:
            user = await self._users.get(session.user_id)
        except NotFound:
            raise TokenNotValid from None
        if not user.may_sign_in:
            raise TokenNotValid
        return user

    def _newest_after(self, token: RefreshToken, session: Session) -> RefreshToken:
        """Return the current token of a session, which grew out of one of its predecessors.

        Every replaced token that still has its grace leads there, however often another tab has refreshed since.
        """
        for _ in range(len(session.predecessors) + 1):
            token = self._tokens.next(token)
            if token.hash == session.current:
                return token
        raise TokenNotValid

    async def _require_predecessor(self, token: RefreshToken, client: Client) -> Session:
        """Return the session of a genuine token that is not current. Raises TokenNotValid.

        A token has its grace from the moment on in which it was replaced. One that is older was stolen, or its thief
        was faster; nobody can tell which, so the whole family ends (RFC 9700, 4.14.2).
        """
        session = await self._living(token.session_id)
        if any(token.hash == hash_ and now() - replaced <= _GRACE for hash_, replaced in _predecessors(session)):
            return session
        await self.end(_id=session.id)
        log(Event.TOKEN_REUSE, user=session.user_id, session=session.id, client=client.address)
        raise TokenNotValid


def _predecessors(session: Session) -> Iterable[tuple[str, datetime]]:
    """Return replaced tokens and when; of a session that an older version has rotated, the last one."""
    last = [(session.previous, session.rotated_at)] if session.previous else []
    return [*session.predecessors, *last]


def _seen(client: Client) -> dict[str, object]:
    return {"last_seen": now(), "device": client.device[:_LONGEST], "address": client.address}
