"""Email addresses in the one spelling that accounts keep."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email


def checked_address(text: str) -> str:
    """Stripped, in lower case, in ASCII: a look-alike in another script never equals, nor passes for, a known one.

    Raises ValueError with a sentence.
    """
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise ValueError("Enter a valid email address.") from None
    return (found.ascii_email or found.normalized).lower()


def known_as(text: str) -> str:
    """The same spelling of whatever somebody typed to sign in; nothing for what is no address."""
    try:
        return checked_address(text)
    except ValueError:
        return ""
