"""Errors that clients and operators see.

A `ServiceError` carries its HTTP status and JSON body; `handlers.base` alone turns it into a response. `CommandError`
is a message for the terminal. Any other exception is a bug: it is logged with its traceback and answered with 500
without details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A message for the terminal: what is wrong and what to do."""


class ServiceError(Exception):
    """An error response: `status`, JSON `body` and additional `headers`."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.body: Mapping[str, object] = {"detail": detail}
        self.headers: dict[str, str] = {}


class BadRequest(ServiceError):
    """400 with a message that concerns no single field."""


class ActivationFailed(BadRequest):
    """400 with the message under three keys, because existing frontends read any of them."""

    def __init__(self) -> None:
        message = "Activation failed."
        super().__init__(message)
        self.body = {"message": message, "detail": message, "error": message}


class FieldErrors(ServiceError):
    """400 with the messages of all invalid fields: {"email": ["Enter a valid email address."]}."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.fields = {name: list(messages) for name, messages in fields.items()}
        self.body = self.fields


class NotAuthenticated(ServiceError):
    """401: the request has no token."""

    status = 401

    def __init__(self, detail: str = "Authentication credentials were not provided.") -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": 'Bearer realm="api"'}


class TokenNotValid(NotAuthenticated):
    """401: the token is expired, revoked, of the wrong type or malformed."""

    def __init__(self) -> None:
        detail = "Given token not valid for any token type"
        super().__init__(detail)
        self.body = {"detail": detail, "code": "token_not_valid"}


class Forbidden(ServiceError):
    """403: authenticated, but not authorized."""

    status = 403

    def __init__(self, detail: str = "You do not have permission to perform this action.") -> None:
        super().__init__(detail)


class NotFound(ServiceError):
    """404: it does not exist, or this client may not know about it."""

    status = 404

    def __init__(self, detail: str = "Not found.") -> None:
        super().__init__(detail)


class MethodNotAllowed(ServiceError):
    """405 with the allowed methods."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.headers = {"Allow": ", ".join(allowed)}


class Conflict(ServiceError):
    """409: the current state does not allow the operation."""

    status = 409


class PreconditionFailed(ServiceError):
    """412: the file is not the version that the client requires."""

    status = 412

    def __init__(self) -> None:
        super().__init__("The file is not the version that was asked for.")


class PayloadTooLarge(ServiceError):
    """413: the body is larger than this endpoint accepts."""

    status = 413


class RangeNotSatisfiable(ServiceError):
    """416: the range starts beyond the end of a file of `size` bytes."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__("The requested range is beyond the end of the file.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class Throttled(ServiceError):
    """429: too many attempts; the next one is accepted after `retry_after_s` seconds."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Request was throttled. Expected available in {retry_after_s} seconds.")
        self.headers = {"Retry-After": str(retry_after_s)}


class ClientClosedRequest(ServiceError):
    """499, a status of nginx for logs: the client is gone."""

    status = 499

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


class Unavailable(ServiceError):
    """503: temporarily unavailable; clients may retry after `retry_after_s` seconds."""

    status = 503

    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_s)}


class InsufficientStorage(ServiceError):
    """507: not enough disk space."""

    status = 507
