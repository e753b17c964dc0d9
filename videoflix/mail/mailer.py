"""Sends what the outbox owes, beside the requests and never in them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage

from videoflix.background import run_in_background
from videoflix.mail.outbox import Outbox, OutboxMail
from videoflix.mail.transport import DeliveryFailed, Transport

_log = logging.getLogger(__name__)

_CONCURRENT_SENDERS = 4  # mails at once: a server that hangs holds up few of them
_POLL_INTERVAL_S = 2.0  # seconds: what other processes owe, and what is due again

# Writes the mail; None when it is owed to nobody (no such account, or nothing to tell it).
Compose = Callable[[OutboxMail], Awaitable[EmailMessage | None]]
OnSent = Callable[[OutboxMail], Awaitable[None]]


class Mailer:
    """Works through the outbox. Any number of processes may have one."""

    def __init__(self, outbox: Outbox, compose: Compose, transport: Transport, on_sent: OnSent) -> None:
        self._outbox = outbox
        self._compose = compose
        self._transport = transport
        self._on_sent = on_sent  # called with each mail that was taken over by the transport

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Mails go out for as long as the block lasts."""
        async with run_in_background(*(self._run_sender() for _ in range(_CONCURRENT_SENDERS))):
            yield

    async def _run_sender(self) -> None:
        while True:
            try:
                while await self.deliver_one():
                    pass
            except Exception as error:  # whatever a database driver raises: what is owed stays owed
                _log.warning("outbox not read error=%s", error)
            await self._wait_for_mail()

    async def deliver_one(self) -> bool:
        """Send one mail that is due; False when there is none."""
        self._outbox.mail_added.clear()
        mail = await self._outbox.claim()
        if mail is None:
            return False
        try:
            message = await self._compose(mail)
            if message is not None:
                await self._transport.send(message)
                _log.info("mail sent kind=%s id=%s attempts=%d", mail.kind, mail.id, mail.attempts)
        except DeliveryFailed as trouble:
            await self._outbox.mark_failed(mail, str(trouble))
        except Exception:
            _log.exception("mail not written kind=%s id=%s", mail.kind, mail.id)
            await self._outbox.mark_failed(mail, "The mail could not be written.")
        else:
            await self._outbox.mark_delivered(mail)
            if message is not None:
                await self._on_sent(mail)
        return True

    async def _wait_for_mail(self) -> None:
        try:
            async with asyncio.timeout(_POLL_INTERVAL_S):
                await self._outbox.mail_added.wait()
        except TimeoutError:
            pass
