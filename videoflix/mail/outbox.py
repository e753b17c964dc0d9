"""The outbox: mails to send, by kind and address only.

Texts and links are made when a mail is sent, so that no one-time token is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from videoflix.models import now
from videoflix.stores.outbox import OutboxStore

_log = structlog.get_logger(__name__)

_LEASE_DURATION = timedelta(minutes=3)  # how long a mail waits if the process that was sending it dies
_FIRST_RETRY_DELAY_S, _RETRY_DELAY_FACTOR, _MAX_RETRY_DELAY_S = 5.0, 2.0, 1800.0
_GIVE_UP_AFTER = timedelta(days=1)


class MailKind(StrEnum):
    """The kinds of mail; each has templates of that name."""

    ACTIVATION = "activation"
    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # the name of a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMail:
    """A mail to one address; at most one of a kind and address exists. `lease` identifies the process that sends it."""

    id: str
    kind: str
    address: str
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    error: str = ""
    given_up_at: datetime | None = None
    lease: str = field(default="", repr=False)
    lease_until: datetime


class Outbox:
    """Adds, claims and completes mails; any number of processes may share it."""

    def __init__(self, store: OutboxStore) -> None:
        self._store = store
        self.mail_added = asyncio.Event()  # set when this process adds a mail

    async def enqueue(self, kind: MailKind, address: str) -> None:
        """Add a mail. Repeating this while it is pending adds none, but makes it due at once."""
        mail_id = hashlib.sha256(f"{kind} {address}".encode()).hexdigest()[:32]
        moment = now()
        await self._store.put(mail_id, kind=kind.value, address=address, created_at=moment, lease_until=moment)
        self.mail_added.set()

    async def claim(self) -> OutboxMail | None:
        """Claim a mail that is due. Return None if there is none."""
        document = await self._store.claim(now(), now() + _LEASE_DURATION, secrets.token_hex(8))
        return OutboxMail(**document) if document else None

    async def mark_delivered(self, mail: OutboxMail) -> None:
        """Remove a mail that was accepted or is obsolete. After a retry, make all others due at once."""
        await self._store.remove(mail.id, mail.lease)
        if mail.attempts > 1:
            await self._store.make_all_due(now())
            self.mail_added.set()

    async def mark_failed(self, mail: OutboxMail, error: str) -> None:
        """Schedule another attempt, or give the mail up if it is a day old."""
        if now() - mail.created_at >= _GIVE_UP_AFTER:
            await self._store.release(mail.id, mail.lease, error=error, given_up_at=now())
            _log.error("mail_given_up", kind=mail.kind, mail_id=mail.id, attempts=mail.attempts, error=error)
            return
        delay_s = min(_FIRST_RETRY_DELAY_S * _RETRY_DELAY_FACTOR ** (mail.attempts - 1), _MAX_RETRY_DELAY_S)
        await self._store.release(mail.id, mail.lease, error=error, next_at=now() + timedelta(seconds=delay_s))
        _log.warning("mail_delayed", kind=mail.kind, mail_id=mail.id, attempts=mail.attempts, error=error)

    async def list_all(self) -> Sequence[OutboxMail]:
        """Return all mails that are pending or were given up, newest first."""
        return [OutboxMail(**document) for document in await self._store.list_all()]

    async def count_by_state(self) -> Mapping[str, int]:
        """Return the number of mails in each state: `owed` (pending) and `given_up`."""
        pending, given_up = await self._store.count_pending_and_given_up()
        return {"owed": pending, "given_up": given_up}

    async def retry(self, mail_id: str) -> None:
        """Make a mail due at once, for another day if it was given up. Raises NotFound."""
        await self._store.requeue(mail_id, now())
        self.mail_added.set()

    async def discard(self, mail_id: str) -> None:
        """Delete a mail without sending it. Raises NotFound."""
        await self._store.delete(mail_id)

    async def delete_for_address(self, address: str) -> None:
        """Delete all mails to an address without sending them."""
        await self._store.delete_for_address(address)
