"""handlers/error_responses.py: exceptions become JSON without details of the inside."""

from __future__ import annotations

import pytest
from tornado.web import HTTPError

from handlers.error_responses import ErrorResponse, to_response
from videoflix.errors import FieldErrors, NotFound, Throttled


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFound(), ErrorResponse(404, {"detail": "Not found."})),
        (FieldErrors({"email": ["Enter it."]}), ErrorResponse(400, {"email": ["Enter it."]})),
        (
            Throttled(7),
            ErrorResponse(
                429,
                {"detail": "Request was throttled. Expected available in 7 seconds."},
                {"Retry-After": "7"},
            ),
        ),
        (HTTPError(400, "a secret for the log"), ErrorResponse(400, {"detail": "Bad Request."})),
        (
            RuntimeError("a secret of the inside"),
            ErrorResponse(500, {"detail": "Internal server error.", "request_id": "0a1b"}),
        ),
        (None, ErrorResponse(500, {"detail": "Internal server error.", "request_id": "0a1b"})),
    ],
)
def test_each_kind_of_error_has_its_response(error: Exception | None, expected: ErrorResponse) -> None:
    assert to_response(error, 400, "Bad Request", "0a1b") == expected
