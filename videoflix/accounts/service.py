"""The rules of accounts: registration, sign-in, passwords and what becomes of a user who leaves."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from videoflix.accounts.events import Event, log
from videoflix.accounts.last_admin import take_rights
from videoflix.accounts.links import Links, Purpose
from videoflix.accounts.passwords import Passwords, complaints
from videoflix.accounts.renewals import Renewals
from videoflix.accounts.revocations import Revocations
from videoflix.accounts.sessions import Pass, Sessions
from videoflix.accounts.tokens import Tokens
from videoflix.errors import ActivationFailed, BadRequest, Conflict, FieldErrors, Forbidden, NotFound, TokenNotValid
from videoflix.mail.outbox import Kind, Outbox
from videoflix.models import Client, Identity, Session, User, now
from videoflix.stores.counters import CounterStore
from videoflix.stores.links import Owner
from videoflix.stores.users import UserStore

# Removes what a user (by id) holds in some store; safe to repeat. The composition root names them all.
Holding = Callable[[int], Awaitable[None]]

_REFUSED = "Please check your input and try again."
_BAD_LINK = "The link is invalid or has expired."
_LAST_ADMIN = "You are the last admin: make an admin of somebody else first."
_NOWHERE = Client()
LEAVING = {"is_disabled": True, "is_leaving": True}  # fields of a user whose deletion has begun


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An opened session: the user, and the tokens that its cookies carry."""

    user: User
    tokens: Pass

    @property
    def access_token(self) -> str:
        """The one that opens everything for some minutes."""
        return self.tokens.access_token


class Accounts:
    """Registration, sign-in and sessions."""

    def __init__(
        self,
        users: UserStore,
        counters: CounterStore,
        sessions: Sessions,
        links: Links,
        outbox: Outbox,
        passwords: Passwords,
        tokens: Tokens,
        revocations: Revocations,
        holdings: Sequence[Holding] = (),
    ) -> None:
        self._users = users
        self._counters = counters
        self._sessions = sessions
        self._links = links
        self._outbox = outbox
        self._passwords = passwords
        self._tokens = tokens
        self._revocations = revocations
        self._holdings = holdings
        self._renewals = Renewals()

    # Who sends a request.

    def identify(self, access_token: str) -> Identity:
        """Pure CPU. Raises TokenNotValid, also when the session of the token has ended."""
        identity = self._tokens.identify(access_token)
        self.require_living(identity)
        return identity

    @property
    def in_step(self) -> bool:
        """Whether this process hears at once of every session that another one ends."""
        return self._revocations.in_step

    async def ensure_current(self) -> None:
        """Await this before `identify`: usually at once, else when every session that has ended is known."""
        await self._revocations.ensure_current()

    def require_living(self, identity: Identity) -> None:
        """Raise TokenNotValid when the session has ended since its token was read. Pure CPU."""
        if self._revocations.is_revoked(identity.session_id):
            raise TokenNotValid

    async def require_admin(self, identity: Identity) -> None:
        """Ask the database again, at the end of a call that took long; that a token expires meanwhile does not matter.

        Raises TokenNotValid when the session has ended or the account is gone or disabled, Forbidden for no admin.
        """
        await self.ensure_current()
        self.require_living(identity)
        user = await self.user(identity.user_id)
        if not user.may_sign_in:
            raise TokenNotValid
        if not user.is_admin:
            raise Forbidden

    def admits(self, access_token: str | None) -> bool:
        """Whether it opens anything."""
        try:
            return bool(access_token and self.identify(access_token))
        except TokenNotValid:
            return False

    def wants_renewal(self, access_token: str | None) -> bool:
        """Whether it is missing, opens nothing, or is past half its life; that can wait when renewals are put off."""
        try:
            identity = self.identify(access_token or "")
        except TokenNotValid:
            return True
        return self._tokens.is_past_half_its_life(identity) and not self._renewals.are_put_off

    def put_off_renewals(self) -> None:
        """The database is away: whoever still has a good access token makes do with it for some seconds."""
        self._renewals.put_off()

    async def renew(self, refresh_token: str, client: Client) -> str | None:
        """Another access token for whoever holds this refresh token; None when it opens nothing."""
        known = self._renewals.get(refresh_token)
        if known and not self.wants_renewal(known):
            return known
        try:
            access_token = await self._sessions.renew(refresh_token, client)
        except TokenNotValid:
            return None
        self._renewals.keep(refresh_token, access_token)
        return access_token

    # In and out. Addresses come in their one spelling, see `addresses`; what is no address belongs to nobody.

    async def register(self, email: str, password: str) -> User:
        """Make an inactive account and owe it a mail. Raises FieldErrors, and BadRequest for a known address, which
        gets a mail too while it waits for its confirmation.
        """
        _require_good(password, email, "password")
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.next("users")
        user = User(id=user_id, email=email, password_hash=password_hash, asked_to_confirm_at=now())
        try:
            await self._users.add(user)
        except Conflict:
            await self._contest(email, password)
            await self._outbox.owe(Kind.ACTIVATION, email)  # the first answer may have been lost, and the mail not owed
            raise BadRequest(_REFUSED) from None
        log(Event.USER_CREATED, user=user.id)
        await self._outbox.owe(Kind.ACTIVATION, email)
        return user

    async def _contest(self, email: str, password: str) -> None:
        """Two people register one address with two passwords, and nobody confirmed it: then neither password counts.

        Else whoever came first, perhaps a stranger, would have the password of what the owner activates. The mail that
        is owed lets its reader set one.
        """
        known = await self._known(email)
        is_same = await self._passwords.verify(known.password_hash if known else None, password)
        if known and not is_same and await self._users.change_unconfirmed(known.id, password_hash=""):
            log(Event.PASSWORD_CONTESTED, user=known.id)

    async def activate(self, token: str, uid: str | None) -> None:
        """Confirm an address; again is as well. Raises ActivationFailed: a bad link, or a disabled account."""
        try:
            user = await self._users.activate((await self._links.owner(token, Purpose.ACTIVATE, uid)).user_id)
        except NotFound:
            raise ActivationFailed from None
        log(Event.USER_ACTIVATED, user=user.id)

    async def log_in(self, email: str, password: str, client: Client = _NOWHERE) -> SignedIn:
        """Raises BadRequest, with the same words and after the same time whatever was wrong."""
        known = await self._known(email)
        user = await self._opened(known, password)
        if user is None:
            log(Event.LOGIN_FAIL, user=known.id if known else None, client=client.address)
            raise BadRequest(_REFUSED)
        try:
            tokens = await self._sessions.open(user, client)
        except NotFound:
            raise BadRequest(_REFUSED) from None
        log(Event.LOGIN_SUCCESS, user=user.id, client=client.address)
        return SignedIn(user, tokens)

    async def opens(self, email: str, password: str) -> bool:
        """Whether one could sign in like this."""
        return await self._opened(await self._known(email), password) is not None

    async def refresh(self, refresh_token: str, client: Client) -> Pass:
        """The next tokens of a session. Raises TokenNotValid."""
        try:
            return await self._sessions.refresh(refresh_token, client)
        except TokenNotValid:
            log(Event.TOKEN_DENIED, client=client.address)
            raise

    async def log_out(self, refresh_token: str, client: Client) -> None:
        """End its session, at once and everywhere; nothing to end is well."""
        await self._sessions.close(refresh_token, client)

    async def _known(self, email: str) -> User | None:
        try:
            return await self._users.by_email(email)
        except NotFound:
            return None

    async def _opened(self, user: User | None, password: str) -> User | None:
        """The user, if this password opens the account; None takes the same time."""
        matches = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches or not user.may_sign_in:
            return None
        return await self._rehashed(user, password) if self._passwords.is_outdated(user.password_hash) else user

    async def _rehashed(self, user: User, password: str) -> User:
        await self._users.replace_hash(user.id, user.password_hash, await self._passwords.hash(password))
        return await self._users.get(user.id)

    # Passwords. The calls that take an address do the same for every one: they write down what is owed, no more.

    async def resend_activation(self, email: str) -> None:
        """Owe this address an activation mail; whether it has an account is found out when the mail is written."""
        await self._outbox.owe(Kind.ACTIVATION, email)

    async def request_reset(self, email: str) -> None:
        """Owe this address a mail with a link to set a password anew."""
        await self._outbox.owe(Kind.RESET, email)

    async def reset_password(self, token: str, uid: str | None, password: str) -> User:
        """Set a password anew and end every session; return the user.

        Raises BadRequest for a bad link, FieldErrors for a weak password.

        The link came by mail, so the address is confirmed as well.
        Links go last: whoever got no answer, because something was away in the middle, sends the same again.
        """
        try:
            owner = await self._links.owner(token, Purpose.RESET, uid)
            user = await self._users.get(owner.user_id)
            password_hash = await self._claimed(token, owner, user, password)
            await self._users.set_password(user.id, password_hash)
        except NotFound:
            log(Event.PASSWORD_CHANGE_FAIL)
            raise BadRequest(_BAD_LINK) from None
        await self._sessions.end(user_id=user.id)
        log(Event.PASSWORD_CHANGE, user=user.id)
        await self._outbox.owe(Kind.PASSWORD_CHANGED, user.email)
        await self._links.remove(user.id, Purpose.RESET)
        return user

    async def _claimed(self, token: str, owner: Owner, user: User, password: str) -> str:
        """The hash of the one password that a link is good for. Raises NotFound and FieldErrors."""
        if owner.was_used:
            if not await self._passwords.verify(owner.used_for, password):
                raise NotFound
            return owner.used_for or ""
        _require_good(password, user.email, "new_password")
        password_hash = await self._passwords.hash(password)
        await self._links.use(token, Purpose.RESET, password_hash)
        return password_hash

    # What a user has.

    async def user(self, user_id: int) -> User:
        """Raises TokenNotValid: whose account is gone is not signed in."""
        try:
            return await self._users.get(user_id)
        except NotFound:
            raise TokenNotValid from None

    async def sessions_of(self, user_id: int) -> Sequence[Session]:
        """Those that live, the one that was seen last first."""
        return await self._sessions.of_user(user_id)

    async def end_session(self, user_id: int, session_id: str) -> None:
        """End one of the user's own. Raises NotFound."""
        if not await self._sessions.end(_id=session_id, user_id=user_id):
            raise NotFound
        log(Event.TOKEN_REVOKED, user=user_id, session=session_id)

    async def end_sessions(self, user_id: int) -> None:
        """Sign this user out everywhere, at once."""
        await self._sessions.end(user_id=user_id)

    async def shut_out(self, user_id: int) -> None:
        """End the sessions; and links in mails that were sent until now open nothing any more."""
        await self.end_sessions(user_id)
        await self._links.remove(user_id)

    async def delete_own(self, user_id: int, password: str) -> None:
        """Delete the account of whoever knows its password. Raises FieldErrors, and Conflict for the last admin."""
        user = await self.user(user_id)
        if not await self._passwords.verify(user.password_hash, password):
            log(Event.LOGIN_FAIL, user=user_id)
            raise FieldErrors({"password": ["The password is not right."]})
        await take_rights(self._users, user_id, LEAVING, _LAST_ADMIN)
        await self.delete(user_id)

    async def delete(self, user_id: int) -> None:
        """Remove a user and everything that is held of theirs. Safe to repeat. Raises NotFound.

        Whoever calls it has made sure that an admin stays, see `last_admin`.
        Disabled first and removed last: after a crash in between nobody signs in as them, and `Departures` goes on.
        """
        user = await self._users.change(user_id, **LEAVING)
        await self.shut_out(user_id)
        await self._outbox.forget(user.email)
        for remove in self._holdings:
            await remove(user_id)
        await self._users.delete(user_id)
        log(Event.USER_DELETED, user=user_id)

    # The first admins come from the terminal.

    async def make_admin(self, email: str, password: str) -> User:
        """Make an admin of this address, or promote the account that it has; its password is then this one."""
        try:
            known = await self._users.by_email(email)
        except NotFound:
            return await self._add_admin(email, password)
        if known.is_admin and await self.opens(email, password):
            return known  # nothing changes: nobody is signed out
        hashed = await self._passwords.hash(password)
        rights = {"is_active": True, "is_disabled": False, "is_admin": True, "asked_to_confirm_at": None}
        user = await self._users.change(known.id, password_hash=hashed, **rights)
        await self.shut_out(user.id)
        log(Event.RIGHTS_CHANGED, user=user.id, is_admin=True)
        return user

    async def has_admin(self) -> bool:
        """Whether anyone can put films in."""
        return await self._users.has_admin()

    async def _add_admin(self, email: str, password: str) -> User:
        password_hash = await self._passwords.hash(password)
        user_id = await self._counters.next("users")
        user = User(id=user_id, email=email, password_hash=password_hash, is_active=True, is_admin=True)
        await self._users.add(user)
        log(Event.USER_CREATED, user=user.id, is_admin=True)
        return user


def reference() -> str:
    """The `token` that a registration answers: existing pages want one, and it opens nothing."""
    return secrets.token_urlsafe(24)


def _require_good(password: str, email: str, field: str) -> None:
    if wrong := list(complaints(password, email)):
        raise FieldErrors({field: wrong})
