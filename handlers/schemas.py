"""The schemas of request bodies and queries. Unknown keys are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, FiniteFloat, StringConstraints

from videoflix.accounts.passwords import find_password_problems
from videoflix.catalogue.index import ORDERINGS
from videoflix.email_address import normalize_address, normalize_address_or_empty
from videoflix.models import Rating


def _validate_ordering(ordering: str) -> str:
    if ordering.removeprefix("-") not in ORDERINGS:
        raise ValueError(f"Use one of {', '.join(ORDERINGS)}, with - before it for descending order.")
    return ordering


def _reject_null_characters(text: str) -> str:
    if "\0" in text:
        raise ValueError("Null characters are not allowed.")
    return text


def _validate_address(text: str) -> str:
    return normalize_address(_reject_null_characters(text))


def _normalize_login(text: str) -> str:
    """Return the address in its canonical spelling, or the text itself if it is not an address."""
    return normalize_address_or_empty(text) or text


def _validate_new_password(text: str) -> str:
    if problems := list(find_password_problems(_reject_null_characters(text))):
        raise ValueError(" ".join(problems))
    return text


NonEmptyString = Annotated[str, StringConstraints(min_length=1, strict=True)]
TrimmedString = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True)]
LoginAddress = Annotated[TrimmedString, AfterValidator(_normalize_login)]
EmailAddress = Annotated[TrimmedString, AfterValidator(_validate_address)]
# MongoDB refuses null characters.
SearchTerm = Annotated[str, StringConstraints(max_length=200), AfterValidator(_reject_null_characters)]
NewPassword = Annotated[NonEmptyString, AfterValidator(_validate_new_password)]

_PASSWORD_CONFIRMATION_KEYS = ("confirmed_password", "confirm_password", "repeated_password")
_NEW_PASSWORD_KEYS = ("new_password", "new_password1")
_NEW_PASSWORD_CONFIRMATION_KEYS = ("confirm_password", "new_password2")


class ApiBody(BaseModel):
    """A body with rules that involve several fields."""

    @classmethod
    def cross_field_errors(cls, data: Mapping[str, object]) -> Mapping[str, list[str]]:
        """Return the messages about fields that contradict each other, by field. `data` is not validated yet."""
        return {}


class Credentials(BaseModel):
    """POST /api/login/."""

    email: LoginAddress
    password: NonEmptyString


class Registration(ApiBody):
    """POST /api/register/."""

    email: EmailAddress
    password: NewPassword
    confirmed_password: NonEmptyString = Field(validation_alias=AliasChoices(*_PASSWORD_CONFIRMATION_KEYS))

    @classmethod
    def cross_field_errors(cls, data: Mapping[str, object]) -> Mapping[str, list[str]]:
        """Report passwords that do not match."""
        return _password_mismatch(data, ("password",), _PASSWORD_CONFIRMATION_KEYS)


class EmailOnly(BaseModel):
    """POST /api/password_reset/ and /api/resend_activation/."""

    email: EmailAddress


class PasswordReset(ApiBody):
    """POST /api/password_confirm/<uid>/<token>/."""

    new_password: NewPassword = Field(validation_alias=AliasChoices(*_NEW_PASSWORD_KEYS))
    confirm_password: NonEmptyString = Field(validation_alias=AliasChoices(*_NEW_PASSWORD_CONFIRMATION_KEYS))

    @classmethod
    def cross_field_errors(cls, data: Mapping[str, object]) -> Mapping[str, list[str]]:
        """Report passwords that do not match."""
        return _password_mismatch(data, _NEW_PASSWORD_KEYS, _NEW_PASSWORD_CONFIRMATION_KEYS)


class CurrentPassword(BaseModel):
    """DELETE /api/me/."""

    password: NonEmptyString


class UsersQuery(BaseModel):
    """GET /api/admin/users/. `search` is a part of an address."""

    search: SearchTerm = ""
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10**9)


class UserPatch(BaseModel):
    """PATCH /api/admin/users/<id>/. Absent fields are not changed."""

    is_disabled: bool | None = None
    is_admin: bool | None = None
    is_active: bool | None = None


def _password_mismatch(
    data: Mapping[str, object], password_keys: tuple[str, ...], confirmation_keys: tuple[str, ...]
) -> Mapping[str, list[str]]:
    password, confirmation = (
        next((data[key] for key in keys if data.get(key)), None) for keys in (password_keys, confirmation_keys)
    )
    # Comparing deeply nested values could overflow the stack.
    are_strings = isinstance(password, str) and isinstance(confirmation, str)
    return {confirmation_keys[0]: ["Passwords do not match."]} if are_strings and password != confirmation else {}


class VideoListQuery(BaseModel):
    """GET /api/video/: filters, order and page."""

    search: SearchTerm = ""
    category: Annotated[str, StringConstraints(max_length=100), AfterValidator(_reject_null_characters)] = ""
    ordering: Annotated[str, AfterValidator(_validate_ordering)] = ""
    limit: int | None = Field(None, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10**9)


class LimitQuery(BaseModel):
    """GET /api/popular/ and the other lists that end after the first few videos."""

    limit: int = Field(20, ge=1, le=100)


class VideoPatch(BaseModel):
    """PATCH /api/admin/videos/<id>/. Absent fields are not changed."""

    title: str = ""
    description: str = ""
    category: str = ""


class ProgressReport(BaseModel):
    """PUT /api/video/<id>/progress/. `position` and `duration` are in seconds."""

    position: FiniteFloat = Field(ge=0)
    duration: FiniteFloat | None = Field(None, ge=0)
    finished: bool | None = None


class RatingBody(BaseModel):
    """PUT /api/video/<id>/rating/."""

    rating: Rating
