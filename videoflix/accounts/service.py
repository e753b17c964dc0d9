"""The rules of accounts: registration, login, passwords and deletion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from videoflix.accounts.last_admin import update_unless_last_admin
from videoflix.accounts.passwords import Passwords, find_password_problems
from videoflix.auth.one_time_tokens import OneTimeTokens, Purpose
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.auth.sessions import Sessions, TokenPair
from videoflix.errors import ActivationFailed, BadRequest, Conflict, FieldErrors, Forbidden, NotFound, TokenNotValid
from videoflix.mail.outbox import MailKind, Outbox
from videoflix.models import Client, Session, User, now
from videoflix.stores.counters import CounterStore
from videoflix.stores.one_time_tokens import TokenOwner
from videoflix.stores.users import UserFields, UserStore

# Removes a user's data from one store, given the user's id. Idempotent. The composition root lists them all.
UserDataEraser = Callable[[int], Awaitable[None]]

_REJECTED_MESSAGE = "Please check your input and try again."
_INVALID_LINK_MESSAGE = "The link is invalid or has expired."
_WRONG_PASSWORD_MESSAGE = "Incorrect password."  # noqa: S105  # no password
_LAST_ADMIN_MESSAGE = "You are the last admin. Make another user an admin first."
_UNKNOWN_CLIENT = Client()
BEING_DELETED: UserFields = {"is_disabled": True, "is_leaving": True}  # of a user whose deletion has begun


@dataclass(frozen=True, slots=True)
class LoginResult:
    """A session that was opened: its user, and the tokens for its cookies."""

    user: User
    tokens: TokenPair


class Accounts:
    """Registers users, logs them in, and changes or deletes their accounts.

    Addresses are in normal form (see `email_address`); the empty string, for an invalid address, belongs to no account.
    """

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

    # Registration and login

    async def register(self, email: str, password: str) -> User:
        """Add an inactive account and send it an activation mail.

        Raises FieldErrors for a weak password, and BadRequest for an address that has an account. That account gets
        another mail if its address is not confirmed yet.
        """
        _require_valid_password(password, email, "password")
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.allocate("users")
        user = User(id=user_id, email=email, password_hash=password_hash, asked_to_confirm_at=now())
        try:
            await self._users.add(user)
        except Conflict:
            await self._invalidate_contested_password(email, password)
            # The first call may have failed before it enqueued the mail, or its response may have been lost.
            await self._outbox.enqueue(MailKind.ACTIVATION, email)
            raise BadRequest(_REJECTED_MESSAGE) from None
        log_event(SecurityEvent.USER_CREATED, user_id=user.id)
        await self._outbox.enqueue(MailKind.ACTIVATION, email)
        return user

    async def _invalidate_contested_password(self, email: str, password: str) -> None:
        """Clear the password of an unconfirmed account if another registration names a different one.

        Otherwise whoever registered first, perhaps a stranger, would know the password of the account that the owner of
        the address activates. The mail lets its reader set a password.
        """
        user = await self._find_user(email)
        is_same = await self._passwords.verify(user.password_hash if user else None, password)
        if user and not is_same and await self._users.update_unconfirmed(user.id, password_hash=""):
            log_event(SecurityEvent.PASSWORD_CONTESTED, user_id=user.id)

    async def activate(self, token: str, uid: str | None) -> None:
        """Confirm an address. Idempotent. Raises ActivationFailed for an invalid link or a disabled account."""
        try:
            owner = await self._one_time_tokens.get_owner(token, Purpose.ACTIVATE, uid)
            user = await self._users.activate(owner.user_id)
        except NotFound:
            raise ActivationFailed from None
        log_event(SecurityEvent.USER_ACTIVATED, user_id=user.id)

    async def log_in(self, email: str, password: str, client: Client = _UNKNOWN_CLIENT) -> LoginResult:
        """Open a session. Raises BadRequest, with the same message and after the same time whatever was wrong."""
        account = await self._find_user(email)
        user = await self._authenticate(account, password)
        if user is None:
            log_event(SecurityEvent.LOGIN_FAIL, user_id=account.id if account else None, client=client.address)
            raise BadRequest(_REJECTED_MESSAGE)
        try:
            tokens = await self._sessions.open(user, client)
        except NotFound:
            raise BadRequest(_REJECTED_MESSAGE) from None
        log_event(SecurityEvent.LOGIN_SUCCESS, user_id=user.id, client=client.address)
        return LoginResult(user, tokens)

    async def can_log_in(self, email: str, password: str) -> bool:
        """Return whether this password opens the account of this address."""
        return await self._authenticate(await self._find_user(email), password) is not None

    async def refresh(self, refresh_token: str, client: Client) -> TokenPair:
        """Return the next tokens of a session. Raises TokenNotValid."""
        try:
            return await self._sessions.refresh(refresh_token, client)
        except TokenNotValid:
            log_event(SecurityEvent.TOKEN_DENIED, client=client.address)
            raise

    async def log_out(self, refresh_token: str, client: Client) -> None:
        """End the session of a refresh token, at once and in every process. Ignore a token that is not valid."""
        await self._sessions.close(refresh_token, client)

    async def _find_user(self, email: str) -> User | None:
        try:
            return await self._users.get_by_email(email)
        except NotFound:
            return None

    async def _authenticate(self, user: User | None, password: str) -> User | None:
        """Return the user if this password opens the account, else None after the same time."""
        matches = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches or not user.can_sign_in:
            return None
        return await self._rehash(user, password) if self._passwords.is_outdated(user.password_hash) else user

    async def _rehash(self, user: User, password: str) -> User:
        await self._users.replace_hash(user.id, user.password_hash, await self._passwords.hash(password))
        return await self._users.get(user.id)

    # Mails and passwords. Calls that take an address do the same for every one, so that they reveal no account: they
    # enqueue a mail, and whether there is an account is checked when the mail is sent.

    async def resend_activation(self, email: str) -> None:
        """Enqueue an activation mail to this address."""
        await self._outbox.enqueue(MailKind.ACTIVATION, email)

    async def request_password_reset(self, email: str) -> None:
        """Enqueue a mail to this address with a link to set a new password."""
        await self._outbox.enqueue(MailKind.RESET, email)

    async def reset_password(self, token: str, uid: str | None, password: str) -> User:
        """Set a new password, end all sessions of the user, and return the user.

        The link was sent by mail, so this confirms the address as well. Tokens are revoked last: a client that got no
        response, because a server failed halfway, repeats the same call. Raises BadRequest for an invalid link and
        FieldErrors for a weak password.
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
        log_event(SecurityEvent.PASSWORD_CHANGE, user_id=user.id)
        await self._outbox.enqueue(MailKind.PASSWORD_CHANGED, user.email)
        await self._one_time_tokens.revoke(user.id, Purpose.RESET)
        return user

    async def _consume_reset_token(self, token: str, owner: TokenOwner, user: User, password: str) -> str:
        """Return the hash of the one password that this token may set. Raises NotFound and FieldErrors."""
        if owner.is_consumed:
            if not await self._passwords.verify(owner.consumed_by, password):
                raise NotFound
            return owner.consumed_by or ""
        _require_valid_password(password, user.email, "new_password")
        password_hash = await self._passwords.hash(password)
        await self._one_time_tokens.consume(token, Purpose.RESET, password_hash)
        return password_hash

    # Users and their sessions

    async def get_user(self, user_id: int) -> User:
        """Return the user of a session. Raises TokenNotValid if the account is gone."""
        try:
            return await self._users.get(user_id)
        except NotFound:
            raise TokenNotValid from None

    async def require_admin(self, user_id: int) -> None:
        """Check in the database that a user is an admin, at the end of a call that took long.

        Raises TokenNotValid if the account is gone or disabled, and Forbidden if the user is not an admin.
        """
        user = await self.get_user(user_id)
        if not user.can_sign_in:
            raise TokenNotValid
        if not user.is_admin:
            raise Forbidden

    async def list_sessions(self, user_id: int) -> Sequence[Session]:
        """Return a user's active sessions, most recently used first."""
        return await self._sessions.list_for_user(user_id)

    async def end_session(self, user_id: int, session_id: str) -> None:
        """End one of a user's sessions. Raises NotFound."""
        if not await self._sessions.end([session_id], user_id=user_id):
            raise NotFound
        log_event(SecurityEvent.TOKEN_REVOKED, user_id=user_id, session_id=session_id)

    async def end_sessions(self, user_id: int) -> None:
        """End all sessions of a user, at once and in every process."""
        await self._sessions.end(user_id=user_id)

    async def revoke_access(self, user_id: int) -> None:
        """End all sessions of a user and revoke the links in mails sent until now."""
        await self.end_sessions(user_id)
        await self._one_time_tokens.revoke(user_id)

    # Deletion

    async def delete_own_account(self, user_id: int, password: str) -> None:
        """Delete an account, given its password. Raises FieldErrors, and Conflict for the last admin."""
        user = await self.get_user(user_id)
        if not await self._passwords.verify(user.password_hash, password):
            log_event(SecurityEvent.LOGIN_FAIL, user_id=user_id)
            raise FieldErrors({"password": [_WRONG_PASSWORD_MESSAGE]})
        await update_unless_last_admin(self._users, user_id, _LAST_ADMIN_MESSAGE, **BEING_DELETED)
        await self.delete(user_id)

    async def delete(self, user_id: int) -> None:
        """Delete a user and all data of theirs. Idempotent. Raises NotFound.

        Callers ensure that an admin stays (see `last_admin`). The user is disabled first and deleted last. So nobody
        can log in after a crash in between, and `AccountPurge` finishes the deletion.
        """
        user = await self._users.update(user_id, **BEING_DELETED)
        await self.revoke_access(user_id)
        await self._outbox.delete_for_address(user.email)
        for erase in self._erasers:
            await erase(user_id)
        await self._users.delete(user_id)
        log_event(SecurityEvent.USER_DELETED, user_id=user_id)

    # Admins made at the command line

    async def make_admin(self, email: str, password: str) -> User:
        """Add an admin with this address, or promote its account; the password becomes this one in either case."""
        try:
            user = await self._users.get_by_email(email)
        except NotFound:
            return await self._add_admin(email, password)
        if user.is_admin and await self.can_log_in(email, password):
            return user  # nothing to change, so the sessions continue
        admin_fields: UserFields = {
            "password_hash": await self._passwords.hash(password),
            "is_active": True,
            "is_disabled": False,
            "is_admin": True,
            "asked_to_confirm_at": None,
        }
        user = await self._users.update(user.id, **admin_fields)
        await self.revoke_access(user.id)
        log_event(SecurityEvent.PERMISSIONS_CHANGED, user_id=user.id, is_admin=True)
        return user

    async def has_admin(self) -> bool:
        """Return whether there is an admin who can log in."""
        return await self._users.has_admin()

    async def _add_admin(self, email: str, password: str) -> User:
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.allocate("users")
        user = User(id=user_id, email=email, password_hash=password_hash, is_active=True, is_admin=True)
        await self._users.add(user)
        log_event(SecurityEvent.USER_CREATED, user_id=user.id, is_admin=True)
        return user


def _require_valid_password(password: str, email: str, field: str) -> None:
    if problems := list(find_password_problems(password, email)):
        raise FieldErrors({field: problems})
