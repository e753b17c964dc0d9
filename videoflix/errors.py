"""What can go wrong, as clients and operators are told.

`ServiceError` and its children know their HTTP status and JSON body; `handlers.base` is the one place that turns them
into an answer. `CommandError` is a sentence for the terminal. Anything else that is raised is a bug: logged with its
trace, answered 500 without detail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A sentence that tells the person at the terminal what is wrong and what to do."""


class ServiceError(Exception):
    """An answer other than success: `status`, JSON `body` and extra `headers`."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.body: Mapping[str, object] = {"detail": detail}
        self.headers: dict[str, str] = {}


class BadRequest(ServiceError):
    """400 with one sentence that belongs to no field."""


class ActivationFailed(BadRequest):
    """400: existing pages look for the sentence under three names."""

    def __init__(self) -> None:
        sentence = "Activation failed."
        super().__init__(sentence)
        self.body = {"message": sentence, "detail": sentence, "error": sentence}


class FieldErrors(ServiceError):
    """400 with the sentences of every bad field at once: {"email": ["Enter a valid email address."]}."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.fields = {name: list(sentences) for name, sentences in fields.items()}
        self.body = self.fields


class NotAuthenticated(ServiceError):
    """401: no token came with the request."""

    status = 401

    def __init__(self, detail: str = "Authentication credentials were not provided.") -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": 'Bearer realm="api"'}


class TokenNotValid(NotAuthenticated):
    """401: a token came, and it is expired, revoked, of another kind or no token at all."""

    def __init__(self) -> None:
        detail = "Given token not valid for any token type"
        super().__init__(detail)
        self.body = {"detail": detail, "code": "token_not_valid"}


class Forbidden(ServiceError):
    """403: signed in, without the right."""

    status = 403

    def __init__(self, detail: str = "You do not have permission to perform this action.") -> None:
        super().__init__(detail)


class NotFound(ServiceError):
    """404: no such thing, or none that this client may know of."""

    status = 404

    def __init__(self, detail: str = "Not found.") -> None:
        super().__init__(detail)


class MethodNotAllowed(ServiceError):
    """405 with the methods that are."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.headers = {"Allow": ", ".join(allowed)}


class Conflict(ServiceError):
    """409: the thing is not in a state that allows this."""

    status = 409


class PreconditionFailed(ServiceError):
    """412: the client wanted another version than there is."""

    status = 412

    def __init__(self) -> None:
        super().__init__("The file is not the version that was asked for.")


class PayloadTooLarge(ServiceError):
    """413: more bytes than this call takes."""

    status = 413


class RangeNotSatisfiable(ServiceError):
    """416: the bytes that were asked for are beyond the end of a file of `size` bytes."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__("The requested range is beyond the end of the file.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class Throttled(ServiceError):
    """429: too many attempts; `seconds` until the next one is taken."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Request was throttled. Expected available in {retry_after_s} seconds.")
        self.headers = {"Retry-After": str(retry_after_s)}


class ClientClosedRequest(ServiceError):
    """499, as nginx logs it: nobody is there to take the answer."""

    status = 499

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


class Unavailable(ServiceError):
    """503: not now; `retry_after` in seconds."""

    status = 503

    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_s)}


class InsufficientStorage(ServiceError):
    """507: the disk has no room for it."""

    status = 507
