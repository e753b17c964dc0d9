"""The mailer: sends mails from the outbox in the background, so that no request waits for a mail server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage

import structlog

from videoflix.background import run_in_background
from videoflix.mail.outbox import Outbox, OutboxMail
from videoflix.mail.transport import DeliveryFailed, Transport

_log = structlog.get_logger(__name__)

_CONCURRENT_SENDERS = 4  # mails at once, so that one slow delivery does not hold up all others
_POLL_INTERVAL_S = 2.0  # for mails that another process added, and retries that are due

# Composes a mail; None if it is obsolete (the account is gone, or there is nothing left to tell it).
Compose = Callable[[OutboxMail], Awaitable[EmailMessage | None]]
OnSent = Callable[[OutboxMail], Awaitable[None]]


class Mailer:
    """Sends the mails of an outbox. Any number of processes may run one."""

    def __init__(self, outbox: Outbox, compose: Compose, transport: Transport, on_sent: OnSent) -> None:
        self._outbox = outbox
        self._compose = compose
        self._transport = transport
        self._on_sent = on_sent  # called with each mail that was taken over by the transport

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Send mails for the length of the block."""
        async with run_in_background(*(self._run_sender() for _ in range(_CONCURRENT_SENDERS))):
            yield

    async def _run_sender(self) -> None:
        while True:
            try:
                while await self.deliver_one():
                    pass
            except Exception as error:  # of any database driver; the mails stay in the outbox
                _log.warning("outbox_read_failed", error=str(error))
            await self._wait_for_mail()

    async def deliver_one(self) -> bool:
        """Send one mail that is due. Return False if there is none."""
        self._outbox.mail_added.clear()
        mail = await self._outbox.claim()
        if mail is None:
            return False
        try:
            message = await self._compose(mail)
            if message is not None:
                await self._transport.send(message)
                _log.info("mail_sent", kind=mail.kind, mail_id=mail.id, attempts=mail.attempts)
        except DeliveryFailed as error:
            await self._outbox.mark_failed(mail, str(error))
        except Exception:
            _log.exception("mail_compose_failed", kind=mail.kind, mail_id=mail.id)
            await self._outbox.mark_failed(mail, "The mail could not be composed.")
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
