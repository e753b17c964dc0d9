"""Transports for mails: an SMTP server, or a folder if none is configured."""

from __future__ import annotations

import asyncio
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

import aiosmtplib

from transcode import fsync_path
from videoflix.settings import Settings

_COMMAND_TIMEOUT_S, _SEND_TIMEOUT_S = 20.0, 60.0  # for one reply of the server, and for a whole mail
_IMPLICIT_TLS_PORT = 465  # TLS from the first byte (RFC 8314); STARTTLS on every other port


class DeliveryFailed(Exception):
    """A mail was not accepted. The message says why, for admins."""


class Transport(Protocol):
    """Delivers mails."""

    async def send(self, message: EmailMessage) -> None:
        """Deliver a mail. Raises DeliveryFailed."""


_MAX_DESCRIBED_CHARS = 4096  # of a server's error


class SmtpTransport:
    """Delivers to an SMTP server (RFC 5321). With `email_use_tls` it never falls back to a connection without TLS."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, message: EmailMessage) -> None:
        """Deliver a mail. Raises DeliveryFailed if the server is down or slow, refuses the mail or offers no TLS."""
        settings = self._settings
        tls = settings.email_use_tls
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await aiosmtplib.send(
                    message,
                    hostname=settings.email_host,
                    port=settings.email_port,
                    username=settings.email_host_user or None,
                    password=settings.email_host_password.get_secret_value() or None,
                    use_tls=tls and settings.email_port == _IMPLICIT_TLS_PORT,
                    start_tls=tls and settings.email_port != _IMPLICIT_TLS_PORT,
                    timeout=_COMMAND_TIMEOUT_S,
                )
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise DeliveryFailed(_describe_error(error)) from error


class FolderTransport:
    """Writes mails into a folder as `.eml` files, which mail programs open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Write a mail. Raises DeliveryFailed if the folder cannot be written."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise DeliveryFailed(f"{self._folder} cannot be written: {error.strerror}.") from error

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{message['Subject']}-{message['Message-ID']}").strip("-")
        path = self._folder / f"{name}.eml"
        temp_path = path.with_suffix(".new")
        temp_path.touch(mode=0o600)
        temp_path.write_bytes(message.as_bytes(policy=SMTP))
        fsync_path(temp_path)  # once this method returns, the outbox forgets the mail
        temp_path.rename(path)
        fsync_path(self._folder)


def make_transport(settings: Settings) -> Transport:
    """Return a transport to the server EMAIL_HOST if it is set, else to the folder MAIL_DIR."""
    return SmtpTransport(settings) if settings.email_host else FolderTransport(settings.mail_dir)


def _describe_error(error: BaseException) -> str:
    """Return an error on one line, without email addresses (servers repeat them) and without control characters."""
    start = str(error)[:_MAX_DESCRIBED_CHARS]
    text = "".join(character if character.isprintable() else " " for character in start)
    words = ("<address>" if "@" in word.strip("@") else word for word in text.split())
    return f"{type(error).__name__}: {' '.join(words) or 'no reply in time'}"[:300]
