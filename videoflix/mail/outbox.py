"""What is owed to whom. No text and no link: those are made when the mail is sent, so that no token lies about."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from videoflix.models import now
from videoflix.stores.outbox import OutboxStore

_log = logging.getLogger(__name__)

_LEASE_DURATION = timedelta(minutes=3)  # a process that died while it sent holds a mail up for so long
_FIRST_RETRY_DELAY_S, _RETRY_DELAY_FACTOR, _MAX_RETRY_DELAY_S = 5.0, 2.0, 1800.0  # seconds from one attempt to the next
_GIVE_UP_AFTER = timedelta(days=1)


class MailKind(StrEnum):
    """What a mail is about."""

    ACTIVATION = "activation"
    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # the name of a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMail:
    """One mail to one address; the same twice is one mail. `lease` proves who sends it."""

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
    """Owe, claim and settle, from any number of processes."""

    def __init__(self, store: OutboxStore) -> None:
        self._store = store
        self.mail_added = asyncio.Event()  # something was owed in this process

    async def enqueue(self, kind: MailKind, address: str) -> None:
        """Write it down. Safe to repeat: as long as it is owed it stays one mail, which is then tried at once."""
        key = hashlib.sha256(f"{kind} {address}".encode()).hexdigest()[:32]
        moment = now()
        await self._store.put(key, kind=kind.value, address=address, created_at=moment, lease_until=moment)
        self.mail_added.set()

    async def claim(self) -> OutboxMail | None:
        """A mail that is due, for this process alone; None when there is none."""
        found = await self._store.claim(now(), now() + _LEASE_DURATION, secrets.token_hex(8))
        return OutboxMail(**found) if found else None

    async def mark_delivered(self, mail: OutboxMail) -> None:
        """It has arrived, or there is nobody to send it to. After trouble, whatever else waits is tried at once."""
        await self._store.remove(mail.id, mail.lease)
        if mail.attempts > 1:
            await self._store.make_all_due(now())
            self.mail_added.set()

    async def mark_failed(self, mail: OutboxMail, error: str) -> None:
        """Try again later; after a day give up, and say so."""
        if now() - mail.created_at >= _GIVE_UP_AFTER:
            await self._store.release(mail.id, mail.lease, error=error, given_up_at=now())
            _log.error("mail given up kind=%s id=%s attempts=%d error=%s", mail.kind, mail.id, mail.attempts, error)
            return
        pause = min(_FIRST_RETRY_DELAY_S * _RETRY_DELAY_FACTOR ** (mail.attempts - 1), _MAX_RETRY_DELAY_S)
        await self._store.release(mail.id, mail.lease, error=error, next_at=now() + timedelta(seconds=pause))
        _log.warning("mail delayed kind=%s id=%s attempts=%d error=%s", mail.kind, mail.id, mail.attempts, error)

    async def list_all(self) -> Sequence[OutboxMail]:
        """Everything that is owed or was given up, newest first."""
        return [OutboxMail(**found) for found in await self._store.list_all()]

    async def count_by_state(self) -> Mapping[str, int]:
        """How many there are in each state."""
        owed, given_up = await self._store.count_pending_and_given_up()
        return {"owed": owed, "given_up": given_up}

    async def retry(self, mail_id: str) -> None:
        """Try it again at once, for another day if it was given up. Raises NotFound."""
        await self._store.requeue(mail_id, now())
        self.mail_added.set()

    async def discard(self, mail_id: str) -> None:
        """Owe it no more. Raises NotFound."""
        await self._store.delete(mail_id)

    async def delete_for_address(self, address: str) -> None:
        """Nothing is owed to this address any more."""
        await self._store.delete_for_address(address)
