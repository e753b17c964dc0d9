"""The bodies and queries that requests carry; unknown keys are ignored, and every bad field is named at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, StringConstraints

from videoflix.catalogue.shelf import ORDERINGS
from videoflix.models import Rating


def _known_ordering(name: str) -> str:
    if name.removeprefix("-") not in ORDERINGS:
        raise ValueError(f"Use one of {', '.join(ORDERINGS)}, after - for the other way round.")
    return name


Filled = Annotated[str, StringConstraints(min_length=1)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)]


class Credentials(BaseModel):
    """POST /api/login/."""

    email: Address
    password: Filled


class ListQuery(BaseModel):
    """GET /api/video/: what narrows and orders the list."""

    search: Annotated[str, StringConstraints(max_length=200)] = ""
    category: Annotated[str, StringConstraints(max_length=100)] = ""
    ordering: Annotated[str, AfterValidator(_known_ordering)] = ""
    limit: int | None = Field(None, ge=1, le=1000)
    offset: int = Field(0, ge=0)


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
