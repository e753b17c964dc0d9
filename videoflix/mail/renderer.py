"""Mails as texts: a subject, a text part and an HTML part from the templates beside this module."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from videoflix.models import now

_SUBJECTS = {
    "activation": "Confirm your email",
    "reset": "Reset your password",
    "password_changed": "Your password was changed",
}
_MAX_LINE_LENGTH = 998  # characters


class MailRenderer:
    """Fills the templates in. `sender` as `Name <address>`."""

    def __init__(self, sender: str) -> None:
        self._sender_name, self._sender_address = parseaddr(sender)
        self._templates = Environment(
            loader=PackageLoader("videoflix.mail"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )

    def render(self, kind: str, address: str, message_key: str, **values: object) -> EmailMessage:
        """The mail; `reference` is the same for every attempt at it, so that receivers can tell a repeated one."""
        message = EmailMessage()
        message["Subject"] = _SUBJECTS[kind]
        message["From"] = Address(self._sender_name, addr_spec=self._sender_address)
        message["To"] = Address(addr_spec=address)
        message["Date"] = format_datetime(now())
        message["Message-ID"] = f"<{message_key}@{self._sender_address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
        known = {"address": address, **values}
        text, page = (self._templates.get_template(f"{kind}.{part}").render(known) for part in ("txt", "html"))
        message.set_content(text, cte=_transfer_encoding(text))
        message.add_alternative(page, subtype="html", cte=_transfer_encoding(page))
        return message


def _transfer_encoding(text: str) -> str:
    """As it is where any server takes it (RFC 5322, 2.1.1), so that a link can also be read in the file of a mail."""
    return "7bit" if text.isascii() and max(map(len, text.splitlines())) <= _MAX_LINE_LENGTH else "quoted-printable"
