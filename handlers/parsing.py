"""Turns request bodies and queries into validated models.

The messages for missing, blank and wrongly typed fields are those of Django REST Framework, which existing pages show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from tornado.httputil import HTTPServerRequest

from handlers.schemas import ApiBody
from videoflix.errors import BadRequest, FieldErrors

Model = TypeVar("Model", bound=BaseModel)

_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_VALIDATION_MESSAGES = {  # by pydantic's error types
    "missing": "This field is required.",
    "string_type": "Not a valid string.",
    "string_unicode": "Not a valid string.",
    "bool_type": "Must be a valid boolean.",
    "bool_parsing": "Must be a valid boolean.",
    "string_too_short": "This field may not be blank.",
}


def parse_body(request: HTTPServerRequest, model: type[Model]) -> Model:
    """Return the body, JSON or form. Raises BadRequest, or FieldErrors for all invalid fields at once."""
    return validate(model, _decode_body(request))


def parse_query(request: HTTPServerRequest, model: type[Model]) -> Model:
    """Return the query. Raises FieldErrors for all invalid fields at once.

    The last value of a repeated parameter counts; an empty parameter counts as absent.
    """
    values = {name: values[-1].decode(errors="replace").strip() for name, values in request.query_arguments.items()}
    return validate(model, {name: value for name, value in values.items() if value})


def validate(model: type[Model], data: Mapping[str, object]) -> Model:
    """Return the data as a model. Raises FieldErrors for all invalid fields at once."""
    errors = dict(model.cross_field_errors(data)) if issubclass(model, ApiBody) else {}
    try:
        instance = model.model_validate(data)
    except ValidationError as error:
        raise FieldErrors({**errors, **_errors_by_field(error)}) from None
    if errors:
        raise FieldErrors(errors)
    return instance


def _decode_body(request: HTTPServerRequest) -> Mapping[str, object]:
    """Return the fields of a form or of a JSON object, whatever the content type. An empty body is an empty object."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type in _FORM_TYPES:
        return {name: values[-1].decode(errors="replace") for name, values in request.body_arguments.items()}
    if not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        position = f"line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else "body"
        raise BadRequest(f"JSON parse error - {position}") from None
    if not isinstance(body, dict):
        raise BadRequest("JSON parse error - an object is expected")
    return body


def _errors_by_field(error: ValidationError) -> Mapping[str, list[str]]:
    messages: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(item["loc"][0]) if item["loc"] else "detail"
        message = _VALIDATION_MESSAGES.get(item["type"]) or str(item["msg"]).removeprefix("Value error, ")
        messages.setdefault(field, []).append(message)
    return messages
