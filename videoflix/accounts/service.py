"""The rules of accounts."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from videoflix.accounts.passwords import Passwords
from videoflix.accounts.revocations import Revocations
from videoflix.accounts.tokens import AccessTokens
from videoflix.errors import BadRequest, NotFound, TokenNotValid
from videoflix.models import Identity, Session, User, now
from videoflix.stores.counters import CounterStore
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore

# Removes what a user (by id) holds in some store; safe to repeat. The composition root names them all.
Holding = Callable[[int], Awaitable[None]]

_REFUSED = "Please check your input and try again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An opened session: the user, and the tokens that its cookies carry."""

    user: User
    access_token: str
    refresh_token: str


class Accounts:
    """Registration, sign-in and sessions."""

    def __init__(
        self,
        users: UserStore,
        sessions: SessionStore,
        counters: CounterStore,
        passwords: Passwords,
        tokens: AccessTokens,
        revocations: Revocations,
        holdings: Sequence[Holding] = (),
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._revocations = revocations
        self._holdings = holdings
        self._counters = counters
        self._passwords = passwords
        self._tokens = tokens

    async def log_in(self, email: str, password: str) -> SignedIn:
        """Raises BadRequest, with the same words and after the same time whatever was wrong."""
        try:
            user: User | None = await self._users.by_email(email)
        except NotFound:
            user = None
        matches = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches or not user.may_sign_in:
            raise BadRequest(_REFUSED)
        refresh_token = secrets.token_urlsafe(32)
        session = Session(
            id=secrets.token_urlsafe(16), user_id=user.id, current=refresh_token, expires_at=now() + timedelta(days=7)
        )
        await self._sessions.add(session)
        return SignedIn(user, self._tokens.issue(user, session.id), refresh_token)

    def identify(self, access_token: str) -> Identity:
        """Pure CPU. Raises TokenNotValid, also when the session of the token has ended."""
        identity = self._tokens.identify(access_token)
        if self._revocations.is_revoked(identity.session_id):
            raise TokenNotValid
        return identity

    @property
    def in_step(self) -> bool:
        """Whether this process hears at once of every session that another one ends."""
        return self._revocations.in_step

    async def ensure_current(self) -> None:
        """Await this before `identify`: usually at once, else when every session that has ended is known."""
        await self._revocations.ensure_current()

    async def end_sessions(self, user_id: int) -> None:
        """Sign this user out everywhere, at once."""
        await self._end(user_id=user_id)

    async def _end(self, **of: object) -> None:
        until = now() + timedelta(seconds=self._tokens.lifetime)
        await self._revocations.revoke(await self._sessions.end(until, **of))

    async def delete(self, user_id: int) -> None:
        """Remove a user and everything that is held of theirs. Safe to repeat. Raises NotFound."""
        await self._users.get(user_id)
        await self.end_sessions(user_id)
        for remove in self._holdings:
            await remove(user_id)
        await self._users.delete(user_id)

    async def make_admin(self, email: str, password: str) -> User:
        """Make an admin of this address, or promote the account that it has; its password is then this one."""
        fields = {"password_hash": await self._passwords.hash(password), "is_active": True, "is_admin": True}
        try:
            known = await self._users.by_email(email)
        except NotFound:
            user = User(id=await self._counters.next("users"), email=email, **fields)  # type: ignore[arg-type]
            await self._users.add(user)
            return user
        return await self._users.change(known.id, **fields)

    async def has_admin(self) -> bool:
        """Whether anyone can put films in."""
        return await self._users.has_admin()
