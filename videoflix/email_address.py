"""Email addresses in the normal form in which accounts store them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

# Characters (RFC 5321, section 4.5.3.1.3). Longer texts are refused first: the library would parse them in full.
_MAX_ADDRESS_LENGTH = 254
_INVALID_ADDRESS_MESSAGE = "Enter a valid email address."


def normalize_address(text: str) -> str:
    """Return the address stripped, in lower case and in ASCII (domains in punycode).

    Local parts outside ASCII are refused, so that a look-alike in another script cannot pass for an existing address.
    Raises ValueError with a message for the user.
    """
    text = text.strip()
    if len(text) > _MAX_ADDRESS_LENGTH:
        raise ValueError(_INVALID_ADDRESS_MESSAGE)
    try:
        result = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise ValueError(_INVALID_ADDRESS_MESSAGE) from None
    return (result.ascii_email or result.normalized).lower()


def normalize_address_or_empty(text: str) -> str:
    """Return the normal form of an address, or an empty string if it is not valid."""
    try:
        return normalize_address(text)
    except ValueError:
        return ""
