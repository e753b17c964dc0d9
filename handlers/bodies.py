"""The bodies and queries that requests carry; unknown keys are ignored, and every bad field is named at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, FiniteFloat, StringConstraints

from videoflix.accounts.addresses import checked_address, known_as
from videoflix.accounts.passwords import complaints
from videoflix.catalogue.shelf import ORDERINGS
from videoflix.models import Rating


def _known_ordering(name: str) -> str:
    if name.removeprefix("-") not in ORDERINGS:
        raise ValueError(f"Use one of {', '.join(ORDERINGS)}, after - for the other way round.")
    return name


def _speakable(text: str) -> str:
    if "\0" in text:
        raise ValueError("Null characters are not allowed.")
    return text


def _address(text: str) -> str:
    return checked_address(_speakable(text))


def _typed(text: str) -> str:
    """An address in its one spelling; whatever else somebody typed to sign in as it is."""
    return known_as(text) or text


def _new_password(text: str) -> str:
    if wrong := list(complaints(_speakable(text))):
        raise ValueError(" ".join(wrong))
    return text


Filled = Annotated[str, StringConstraints(min_length=1, strict=True)]
Stripped = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True)]
Typed = Annotated[Stripped, AfterValidator(_typed)]
Address = Annotated[Stripped, AfterValidator(_address)]
Searched = Annotated[str, StringConstraints(max_length=200), AfterValidator(_speakable)]  # databases refuse NUL
NewPassword = Annotated[Filled, AfterValidator(_new_password)]

_CONFIRMED = ("confirmed_password", "confirm_password", "repeated_password")
_RESET = ("new_password", "new_password1")
_RESET_CONFIRMED = ("confirm_password", "new_password2")


class ApiBody(BaseModel):
    """A body with rules across its fields."""

    @classmethod
    def across(cls, given: Mapping[str, object]) -> Mapping[str, list[str]]:
        """What is wrong between the fields of a body as it came, by field."""
        return {}


class Credentials(BaseModel):
    """POST /api/login/."""

    email: Typed
    password: Filled


class Registration(ApiBody):
    """POST /api/register/."""

    email: Address
    password: NewPassword
    confirmed_password: Filled = Field(validation_alias=AliasChoices(*_CONFIRMED))

    @classmethod
    def across(cls, given: Mapping[str, object]) -> Mapping[str, list[str]]:
        """Both passwords are the same."""
        return _mismatch(given, ("password",), _CONFIRMED)


class OnlyAddress(BaseModel):
    """POST /api/password_reset/ and /api/resend_activation/."""

    email: Address


class PasswordReset(ApiBody):
    """POST /api/password_confirm/<uid>/<token>/."""

    new_password: NewPassword = Field(validation_alias=AliasChoices(*_RESET))
    confirm_password: Filled = Field(validation_alias=AliasChoices(*_RESET_CONFIRMED))

    @classmethod
    def across(cls, given: Mapping[str, object]) -> Mapping[str, list[str]]:
        """Both passwords are the same."""
        return _mismatch(given, _RESET, _RESET_CONFIRMED)


class OwnPassword(BaseModel):
    """DELETE /api/me/."""

    password: Filled


class UsersQuery(BaseModel):
    """GET /api/admin/users/: a part of an address, and which page."""

    search: Searched = ""
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10**9)


class Rights(BaseModel):
    """PATCH /api/admin/users/<id>/; what is absent stays as it is."""

    is_disabled: bool | None = None
    is_admin: bool | None = None
    is_active: bool | None = None


def _mismatch(
    given: Mapping[str, object], password: tuple[str, ...], confirmed: tuple[str, ...]
) -> Mapping[str, list[str]]:
    one, other = (next((given[name] for name in names if given.get(name)), None) for names in (password, confirmed))
    both_are_texts = isinstance(one, str) and isinstance(other, str)  # comparing others may take too much of the stack
    return {confirmed[0]: ["Passwords do not match."]} if both_are_texts and one != other else {}


class ListQuery(BaseModel):
    """GET /api/video/: what narrows and orders the list."""

    search: Searched = ""
    category: Annotated[str, StringConstraints(max_length=100), AfterValidator(_speakable)] = ""
    ordering: Annotated[str, AfterValidator(_known_ordering)] = ""
    limit: int | None = Field(None, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10**9)


class CountQuery(BaseModel):
    """Lists of the best few."""

    limit: int = Field(20, ge=1, le=100)


class VideoTexts(BaseModel):
    """PATCH /api/admin/videos/<id>/: those that are given are changed."""

    title: str = ""
    description: str = ""
    category: str = ""


class ProgressReport(BaseModel):
    """PUT /api/video/<id>/progress/; in seconds."""

    position: FiniteFloat = Field(ge=0)
    duration: FiniteFloat | None = Field(None, ge=0)
    finished: bool | None = None


class RatingGiven(BaseModel):
    """PUT /api/video/<id>/rating/."""

    rating: Rating
