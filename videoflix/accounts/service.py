"""The rules of accounts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from videoflix.accounts.passwords import Passwords
from videoflix.accounts.tokens import AccessTokens
from videoflix.errors import BadRequest, NotFound
from videoflix.models import Identity, User
from videoflix.stores.counters import CounterStore
from videoflix.stores.users import UserStore

_REFUSED = "Please check your input and try again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An opened session: the user, and the tokens that its cookies carry."""

    user: User
    access_token: str
    refresh_token: str


class Accounts:
    """Registration, sign-in and sessions."""

    def __init__(self, users: UserStore, counters: CounterStore, passwords: Passwords, tokens: AccessTokens) -> None:
        self._users = users
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
        return SignedIn(user, self._tokens.issue(user, secrets.token_urlsafe(16)), secrets.token_urlsafe(32))

    def identify(self, access_token: str) -> Identity:
        """Pure CPU. Raises TokenNotValid."""
        return self._tokens.identify(access_token)

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
