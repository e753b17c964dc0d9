"""The rules of accounts: registration, sign-in, passwords and what becomes of a user who leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from videoflix.accounts.last_admin import take_rights
from videoflix.accounts.passwords import Passwords, find_password_problems
from videoflix.auth.one_time_tokens import OneTimeTokens, Purpose
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.auth.sessions import Sessions, TokenPair
from videoflix.errors import ActivationFailed, BadRequest, Conflict, FieldErrors, Forbidden, NotFound, TokenNotValid
from videoflix.mail.outbox import MailKind, Outbox
from videoflix.models import Client, Session, User, now
from videoflix.stores.counters import CounterStore
from videoflix.stores.one_time_tokens import TokenOwner
from videoflix.stores.users import UserStore

# Removes what a user (by id) holds in some store; safe to repeat. The composition root names them all.
UserDataEraser = Callable[[int], Awaitable[None]]

_REJECTED_MESSAGE = "Please check your input and try again."
_INVALID_LINK_MESSAGE = "The link is invalid or has expired."
_LAST_ADMIN_MESSAGE = "You are the last admin: make an admin of somebody else first."
_UNKNOWN_CLIENT = Client()
LEAVING = {"is_disabled": True, "is_leaving": True}  # fields of a user whose deletion has begun


@dataclass(frozen=True, slots=True)
class LoginResult:
    """An opened session: the user, and the tokens that its cookies carry."""

    user: User
    tokens: TokenPair


class Accounts:
    """Registration, sign-in and sessions."""

    def __init__(
        self,
        users: UserStore,
        counters: CounterStore,
        sessions: Sessions,
        one_time_tokens: OneTimeTokens,
        outbox: Outbox,
        passwords: Passwords,
        erasers: Sequence[UserDataEraser] = (),
    ) -> None:
        self._users = users
        self._counters = counters
        self._sessions = sessions
        self._one_time_tokens = one_time_tokens
        self._outbox = outbox
        self._passwords = passwords
        self._erasers = erasers

    # In and out. Addresses come in their one spelling, see `addresses`; what is no address belongs to nobody.

    async def register(self, email: str, password: str) -> User:
        """Make an inactive account and owe it a mail. Raises FieldErrors, and BadRequest for a known address, which
        gets a mail too while it waits for its confirmation.
        """
        _require_valid_password(password, email, "password")
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.allocate("users")
        user = User(id=user_id, email=email, password_hash=password_hash, asked_to_confirm_at=now())
        try:
            await self._users.add(user)
        except Conflict:
            await self._invalidate_contested_password(email, password)
            await self._outbox.enqueue(
                MailKind.ACTIVATION, email
            )  # the first answer may have been lost, and the mail not owed
            raise BadRequest(_REJECTED_MESSAGE) from None
        log_event(SecurityEvent.USER_CREATED, user=user.id)
        await self._outbox.enqueue(MailKind.ACTIVATION, email)
        return user

    async def _invalidate_contested_password(self, email: str, password: str) -> None:
        """Two people register one address with two passwords, and nobody confirmed it: then neither password counts.

        Else whoever came first, perhaps a stranger, would have the password of what the owner activates. The mail that
        is owed lets its reader set one.
        """
        known = await self._find_user(email)
        is_same = await self._passwords.verify(known.password_hash if known else None, password)
        if known and not is_same and await self._users.update_unconfirmed(known.id, password_hash=""):
            log_event(SecurityEvent.PASSWORD_CONTESTED, user=known.id)

    async def activate(self, token: str, uid: str | None) -> None:
        """Confirm an address; again is as well. Raises ActivationFailed: a bad link, or a disabled account."""
        try:
            user = await self._users.activate(
                (await self._one_time_tokens.get_owner(token, Purpose.ACTIVATE, uid)).user_id
            )
        except NotFound:
            raise ActivationFailed from None
        log_event(SecurityEvent.USER_ACTIVATED, user=user.id)

    async def log_in(self, email: str, password: str, client: Client = _UNKNOWN_CLIENT) -> LoginResult:
        """Raises BadRequest, with the same words and after the same time whatever was wrong."""
        known = await self._find_user(email)
        user = await self._authenticate(known, password)
        if user is None:
            log_event(SecurityEvent.LOGIN_FAIL, user=known.id if known else None, client=client.address)
            raise BadRequest(_REJECTED_MESSAGE)
        try:
            tokens = await self._sessions.open(user, client)
        except NotFound:
            raise BadRequest(_REJECTED_MESSAGE) from None
        log_event(SecurityEvent.LOGIN_SUCCESS, user=user.id, client=client.address)
        return LoginResult(user, tokens)

    async def can_log_in(self, email: str, password: str) -> bool:
        """Whether one could sign in like this."""
        return await self._authenticate(await self._find_user(email), password) is not None

    async def refresh(self, refresh_token: str, client: Client) -> TokenPair:
        """The next tokens of a session. Raises TokenNotValid."""
        try:
            return await self._sessions.refresh(refresh_token, client)
        except TokenNotValid:
            log_event(SecurityEvent.TOKEN_DENIED, client=client.address)
            raise

    async def log_out(self, refresh_token: str, client: Client) -> None:
        """End its session, at once and everywhere; nothing to end is well."""
        await self._sessions.close(refresh_token, client)

    async def _find_user(self, email: str) -> User | None:
        try:
            return await self._users.get_by_email(email)
        except NotFound:
            return None

    async def _authenticate(self, user: User | None, password: str) -> User | None:
        """The user, if this password opens the account; None takes the same time."""
        matches = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches or not user.can_sign_in:
            return None
        return await self._rehash(user, password) if self._passwords.is_outdated(user.password_hash) else user

    async def _rehash(self, user: User, password: str) -> User:
        await self._users.replace_hash(user.id, user.password_hash, await self._passwords.hash(password))
        return await self._users.get(user.id)

    # Passwords. The calls that take an address do the same for every one: they write down what is owed, no more.

    async def resend_activation(self, email: str) -> None:
        """Owe this address an activation mail; whether it has an account is found out when the mail is written."""
        await self._outbox.enqueue(MailKind.ACTIVATION, email)

    async def request_password_reset(self, email: str) -> None:
        """Owe this address a mail with a link to set a password anew."""
        await self._outbox.enqueue(MailKind.RESET, email)

    async def reset_password(self, token: str, uid: str | None, password: str) -> User:
        """Set a password anew and end every session; return the user.

        Raises BadRequest for a bad link, FieldErrors for a weak password.

        The link came by mail, so the address is confirmed as well.
        Links go last: whoever got no answer, because something was away in the middle, sends the same again.
        """
        try:
            owner = await self._one_time_tokens.get_owner(token, Purpose.RESET, uid)
            user = await self._users.get(owner.user_id)
            password_hash = await self._consume_reset_token(token, owner, user, password)
            await self._users.set_password(user.id, password_hash)
        except NotFound:
            log_event(SecurityEvent.PASSWORD_CHANGE_FAIL)
            raise BadRequest(_INVALID_LINK_MESSAGE) from None
        await self._sessions.end(user_id=user.id)
        log_event(SecurityEvent.PASSWORD_CHANGE, user=user.id)
        await self._outbox.enqueue(MailKind.PASSWORD_CHANGED, user.email)
        await self._one_time_tokens.revoke(user.id, Purpose.RESET)
        return user

    async def _consume_reset_token(self, token: str, owner: TokenOwner, user: User, password: str) -> str:
        """The hash of the one password that a link is good for. Raises NotFound and FieldErrors."""
        if owner.is_consumed:
            if not await self._passwords.verify(owner.consumed_by, password):
                raise NotFound
            return owner.consumed_by or ""
        _require_valid_password(password, user.email, "new_password")
        password_hash = await self._passwords.hash(password)
        await self._one_time_tokens.consume(token, Purpose.RESET, password_hash)
        return password_hash

    # What a user has.

    async def get_user(self, user_id: int) -> User:
        """Raises TokenNotValid: whose account is gone is not signed in."""
        try:
            return await self._users.get(user_id)
        except NotFound:
            raise TokenNotValid from None

    async def require_admin(self, user_id: int) -> None:
        """Ask the database whether a user is an admin, at the end of a call that took long.

        Raises TokenNotValid if the account is gone or disabled, Forbidden if the user is no admin.
        """
        user = await self.get_user(user_id)
        if not user.can_sign_in:
            raise TokenNotValid
        if not user.is_admin:
            raise Forbidden

    async def list_sessions(self, user_id: int) -> Sequence[Session]:
        """Those that live, the one that was seen last first."""
        return await self._sessions.list_for_user(user_id)

    async def end_session(self, user_id: int, session_id: str) -> None:
        """End one of the user's own. Raises NotFound."""
        if not await self._sessions.end(_id=session_id, user_id=user_id):
            raise NotFound
        log_event(SecurityEvent.TOKEN_REVOKED, user=user_id, session=session_id)

    async def end_sessions(self, user_id: int) -> None:
        """Sign this user out everywhere, at once."""
        await self._sessions.end(user_id=user_id)

    async def revoke_access(self, user_id: int) -> None:
        """End the sessions; and links in mails that were sent until now open nothing any more."""
        await self.end_sessions(user_id)
        await self._one_time_tokens.revoke(user_id)

    async def delete_own_account(self, user_id: int, password: str) -> None:
        """Delete the account of whoever knows its password. Raises FieldErrors, and Conflict for the last admin."""
        user = await self.get_user(user_id)
        if not await self._passwords.verify(user.password_hash, password):
            log_event(SecurityEvent.LOGIN_FAIL, user=user_id)
            raise FieldErrors({"password": ["The password is not right."]})
        await take_rights(self._users, user_id, LEAVING, _LAST_ADMIN_MESSAGE)
        await self.delete(user_id)

    async def delete(self, user_id: int) -> None:
        """Remove a user and everything that is held of theirs. Safe to repeat. Raises NotFound.

        Whoever calls it has made sure that an admin stays, see `last_admin`.
        Disabled first and removed last: after a crash in between nobody signs in as them, and `Departures` goes on.
        """
        user = await self._users.update(user_id, **LEAVING)
        await self.revoke_access(user_id)
        await self._outbox.delete_for_address(user.email)
        for remove in self._erasers:
            await remove(user_id)
        await self._users.delete(user_id)
        log_event(SecurityEvent.USER_DELETED, user=user_id)

    # The first admins come from the terminal.

    async def make_admin(self, email: str, password: str) -> User:
        """Make an admin of this address, or promote the account that it has; its password is then this one."""
        try:
            known = await self._users.get_by_email(email)
        except NotFound:
            return await self._add_admin(email, password)
        if known.is_admin and await self.can_log_in(email, password):
            return known  # nothing changes: nobody is signed out
        hashed = await self._passwords.hash(password)
        rights = {"is_active": True, "is_disabled": False, "is_admin": True, "asked_to_confirm_at": None}
        user = await self._users.update(known.id, password_hash=hashed, **rights)
        await self.revoke_access(user.id)
        log_event(SecurityEvent.PERMISSIONS_CHANGED, user=user.id, is_admin=True)
        return user

    async def has_admin(self) -> bool:
        """Whether anyone can put films in."""
        return await self._users.has_admin()

    async def _add_admin(self, email: str, password: str) -> User:
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.allocate("users")
        user = User(id=user_id, email=email, password_hash=password_hash, is_active=True, is_admin=True)
        await self._users.add(user)
        log_event(SecurityEvent.USER_CREATED, user=user.id, is_admin=True)
        return user


def _require_valid_password(password: str, email: str, field: str) -> None:
    if wrong := list(find_password_problems(password, email)):
        raise FieldErrors({field: wrong})
