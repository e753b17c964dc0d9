"""Composes the mails of accounts, with fresh links. An address without an account gets no mail."""

from __future__ import annotations

from email.message import EmailMessage

from videoflix.auth.one_time_tokens import OneTimeTokens, Purpose, encode_user_id
from videoflix.errors import NotFound
from videoflix.mail.outbox import MailKind, OutboxMail
from videoflix.mail.renderer import MailRenderer
from videoflix.models import User, now
from videoflix.settings import Settings
from videoflix.stores.users import UserStore

_PURPOSES = {MailKind.ACTIVATION: Purpose.ACTIVATE, MailKind.RESET: Purpose.RESET}


class AccountMailComposer:
    """Turns the outbox's entries into messages, when the mailer is about to send them."""

    def __init__(
        self, users: UserStore, one_time_tokens: OneTimeTokens, renderer: MailRenderer, settings: Settings
    ) -> None:
        self._users = users
        self._one_time_tokens = one_time_tokens
        self._renderer = renderer
        self._page_urls = {
            Purpose.ACTIVATE: settings.frontend_activation_url,
            Purpose.RESET: settings.frontend_reset_url,
        }

    async def compose(self, mail: OutboxMail) -> EmailMessage | None:
        """Return the message, or None if there is no recipient or the same mail was sent a moment ago."""
        try:
            user = await self._users.get_by_email(mail.address)
        except NotFound:
            return None
        kind = _select_kind(MailKind(mail.kind), user)
        if kind is None:
            return None
        if not user.is_active:
            await self._users.update_unconfirmed(user.id, asked_to_confirm_at=now())
        purpose = _PURPOSES.get(kind)
        if purpose and await self._one_time_tokens.is_outstanding(user.id, purpose):
            return None
        variables = {"link": await self._build_link(user, purpose, mail)} if purpose else {}
        reference = f"{mail.id}.{int(mail.created_at.timestamp() * 1000)}"
        return self._renderer.render(kind.value, user.email, reference, **variables)

    async def sent(self, mail: OutboxMail) -> None:
        """Record that a mail has been sent."""
        await self._one_time_tokens.set_sent(mail.id)

    async def _build_link(self, user: User, purpose: Purpose, mail: OutboxMail) -> str:
        token = await self._one_time_tokens.issue(user.id, purpose, mail.id)
        return self._page_urls[purpose].replace("{uid}", encode_user_id(user.id)).replace("{token}", token)


def _select_kind(requested: MailKind, user: User) -> MailKind | None:
    """Return the kind of mail that this user gets for a request, or None if there is nothing to send.

    An account without a password, because two people registered its address, gets a link to set one. That confirms the
    address as well.
    """
    if user.is_disabled or (requested is MailKind.ACTIVATION and user.is_active):
        return None
    if requested is MailKind.ACTIVATION and not user.password_hash:
        return MailKind.RESET
    return requested
