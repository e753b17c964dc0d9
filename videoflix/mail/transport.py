"""Where mails go: a mail server, or a folder when none is set."""

from __future__ import annotations

import asyncio
import os
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

import aiosmtplib

from videoflix.settings import Settings

_COMMAND_TIMEOUT_S, _SEND_TIMEOUT_S = 20.0, 60.0  # seconds for one answer of the server, and for a whole mail
_IMPLICIT_TLS_PORT = 465  # TLS from the first byte (RFC 8314); on every other port STARTTLS


class DeliveryFailed(Exception):
    """It was not taken; the sentence says why, for admins."""


class Transport(Protocol):
    """Takes a mail over, or says why not."""

    async def send(self, message: EmailMessage) -> None:
        """Raises NotDelivered."""


class SmtpTransport:
    """An SMTP server (RFC 5321). With `email_use_tls` nothing is said in the clear: no TLS, no mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, message: EmailMessage) -> None:
        """Raises NotDelivered: down, slow, refused, no TLS."""
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


_LONGEST_SAID = 4096  # characters of what a server says that are looked at


class FolderTransport:
    """`.eml` files, which every mail program opens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Raises NotDelivered when the folder cannot be written."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise DeliveryFailed(f"{self._folder} cannot be written: {error.strerror}.") from error

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{message['Subject']}-{message['Message-ID']}").strip("-")
        file = self._folder / f"{name}.eml"
        new = file.with_suffix(".new")
        new.touch(mode=0o600)
        with new.open("wb") as opened:
            opened.write(message.as_bytes(policy=SMTP))
            opened.flush()
            os.fsync(opened.fileno())  # nothing else knows of the mail any more when this has returned
        new.rename(file)


def make_transport(settings: Settings) -> Transport:
    """The server of EMAIL_HOST, else the folder MAIL_DIR."""
    return SmtpTransport(settings) if settings.email_host else FolderTransport(settings.mail_dir)


def _describe_error(error: BaseException) -> str:
    """What the server said, on one line, without addresses (it may repeat them) and without what a terminal obeys."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error)[:_LONGEST_SAID])
    words = ("<address>" if "@" in word.strip("@") else word for word in text.split())
    said = " ".join(words) or "no answer in time"
    return f"{type(error).__name__}: {said}"[:300]
