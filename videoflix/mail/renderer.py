"""Mail messages: a subject, a text part and an HTML part, rendered from the templates beside this module."""

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
_MAX_LINE_LENGTH = 998  # characters (RFC 5322, section 2.1.1)


class MailRenderer:
    """Renders mails from a sender, given as `Name <address>`."""

    def __init__(self, sender: str) -> None:
        self._sender_name, self._sender_address = parseaddr(sender)
        self._templates = Environment(
            loader=PackageLoader("videoflix.mail"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )

    def render(self, kind: str, address: str, message_key: str, **values: object) -> EmailMessage:
        """Return a mail of a kind to an address; `values` fill in the templates.

        `message_key` makes up the Message-ID. Pass the same for each attempt, so that receivers can drop duplicates.
        """
        message = EmailMessage()
        message["Subject"] = _SUBJECTS[kind]
        message["From"] = Address(self._sender_name, addr_spec=self._sender_address)
        message["To"] = Address(addr_spec=address)
        message["Date"] = format_datetime(now())
        message["Message-ID"] = f"<{message_key}@{self._sender_address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # so that no vacation notice answers (RFC 3834)
        context = {"address": address, **values}
        text, html = (self._templates.get_template(f"{kind}.{part}").render(context) for part in ("txt", "html"))
        message.set_content(text, cte=_transfer_encoding(text))
        message.add_alternative(html, subtype="html", cte=_transfer_encoding(html))
        return message


def _transfer_encoding(text: str) -> str:
    """Return 7bit wherever it is allowed, so that links stay readable in `.eml` files."""
    return "7bit" if text.isascii() and max(map(len, text.splitlines())) <= _MAX_LINE_LENGTH else "quoted-printable"
