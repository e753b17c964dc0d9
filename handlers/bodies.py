"""The bodies that requests carry; unknown keys are ignored, and every bad field is named at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, StringConstraints

Filled = Annotated[str, StringConstraints(min_length=1)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)]


class Credentials(BaseModel):
    """POST /api/login/."""

    email: Address
    password: Filled
