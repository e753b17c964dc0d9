"""Writes the mails that accounts are owed, with fresh links; who has no account gets none."""

from __future__ import annotations

from email.message import EmailMessage

from videoflix.accounts.links import Links, Purpose, encoded
from videoflix.errors import NotFound
from videoflix.mail.letters import Letters
from videoflix.mail.outbox import Kind, OwedMail
from videoflix.models import User, now
from videoflix.settings import Settings
from videoflix.stores.users import UserStore

_PURPOSES = {Kind.ACTIVATION: Purpose.ACTIVATE, Kind.RESET: Purpose.RESET}


class AccountLetters:
    """The mailer's `Compose`."""

    def __init__(self, users: UserStore, links: Links, letters: Letters, settings: Settings) -> None:
        self._users = users
        self._links = links
        self._letters = letters
        self._pages = {Purpose.ACTIVATE: settings.frontend_activation_url, Purpose.RESET: settings.frontend_reset_url}

    async def compose(self, mail: OwedMail) -> EmailMessage | None:
        """None when there is nobody who should get it, or it would repeat what came a moment ago."""
        try:
            user = await self._users.by_email(mail.address)
        except NotFound:
            return None
        kind = _kind_for(Kind(mail.kind), user)
        if kind is None:
            return None
        if not user.is_active:
            await self._users.change_unconfirmed(user.id, asked_to_confirm_at=now())
        purpose = _PURPOSES.get(kind)
        if purpose and await self._links.is_outstanding(user.id, purpose):
            return None
        facts = {"link": await self._link(user, purpose, mail)} if purpose else {}
        reference = f"{mail.id}.{int(mail.created_at.timestamp() * 1000)}"
        return self._letters.write(kind.value, user.email, reference, **facts)

    async def sent(self, mail: OwedMail) -> None:
        """The mailer's `OnSent`."""
        await self._links.set_sent(mail.id)

    async def _link(self, user: User, purpose: Purpose, mail: OwedMail) -> str:
        token = await self._links.issue(user.id, purpose, mail.id)
        return self._pages[purpose].replace("{uid}", encoded(user.id)).replace("{token}", token)


def _kind_for(owed: Kind, user: User) -> Kind | None:
    """Whose address two people registered sets a password; that confirms the address as well."""
    if user.is_disabled or (owed is Kind.ACTIVATION and user.is_active):
        return None
    if owed is Kind.ACTIVATION and not user.password_hash:
        return Kind.RESET
    return owed
