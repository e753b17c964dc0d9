"""Email addresses in the one spelling that accounts keep."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

_MAX_ADDRESS_LENGTH = (
    254  # characters (RFC 5321, 4.5.3.1.3); of a longer text the library would first look at every one
)
_INVALID_ADDRESS_MESSAGE = "Enter a valid email address."


def normalize_address(text: str) -> str:
    """Stripped, in lower case, in ASCII: a look-alike in another script never equals, nor passes for, a known one.

    Raises ValueError with a sentence.
    """
    text = text.strip()
    if len(text) > _MAX_ADDRESS_LENGTH:
        raise ValueError(_INVALID_ADDRESS_MESSAGE)
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise ValueError(_INVALID_ADDRESS_MESSAGE) from None
    return (found.ascii_email or found.normalized).lower()


def normalize_address_or_empty(text: str) -> str:
    """The same spelling of whatever somebody typed to sign in; nothing for what is no address."""
    try:
        return normalize_address(text)
    except ValueError:
        return ""
