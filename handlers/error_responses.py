"""Turns exceptions into JSON error responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tornado.web import HTTPError

from videoflix.errors import ServiceError


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """Status, JSON body and extra headers."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


def to_response(error: BaseException | None, status: int, reason: str, request_id: str) -> ErrorResponse:
    """Return the response to an error. `status` and `reason` are Tornado's, for errors that Tornado raises.

    Any other error is a bug: the response is 500 without details, and its `request_id` leads to the log.
    """
    if isinstance(error, ServiceError):
        return ErrorResponse(error.status, error.body, error.headers)
    if isinstance(error, HTTPError):
        return ErrorResponse(status, {"detail": f"{reason}."})
    return ErrorResponse(500, {"detail": "Internal server error.", "request_id": request_id})
