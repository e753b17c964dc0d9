"""What every endpoint has in common: CORS, authentication, bodies, answers and errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from handlers import cookies
from handlers.http.access_log import redact_path
from handlers.http.client_address import apply_forwarded_headers
from handlers.http.response_headers import common_headers, new_request_id
from handlers.schemas import ApiBody
from handlers.tornado_internals.body_limit import is_body_truncated
from handlers.tornado_internals.connections import abandon, let_be_the_last
from videoflix.accounts.rate_limits import LimitedAction
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.errors import (
    BadRequest,
    FieldErrors,
    Forbidden,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    ServiceError,
)
from videoflix.models import Client, Identity
from videoflix.services import Services

_log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=BaseModel)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_RENEWAL_TIMEOUT_S = 1.0  # seconds that a request waits for another access token when its own is still good
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_CORS_ALLOWED_HEADERS = (
    "accept, authorization, content-type, range, user-agent, x-csrftoken, x-requested-with, "
    "tus-resumable, upload-length, upload-metadata, upload-offset, upload-concat, upload-checksum"
)


class BaseHandler(RequestHandler):
    """CORS and errors: also for what is neither JSON nor behind a sign-in."""

    metrics_label: ClassVar[str] = "unknown"  # the `handler` of its requests in the metrics

    answer_within_s: ClassVar[float] = 120.0  # from the last byte of the request on; a watchdog sees to it

    def __init__(
        self, application: Application, request: HTTPServerRequest, *, services: Services, **kwargs: Any
    ) -> None:
        """What routes.py names; not in `initialize`, for Tornado asks for the default headers before that."""
        self.services = services
        apply_forwarded_headers(request, services.settings.trusted_proxies)
        super().__init__(application, request, **kwargs)

    def set_default_headers(self) -> None:
        """Run before anything else, again for every error: CORS and safety headers are on each answer.

        What is said to one person is no other's to see: a cache in between keeps nothing, a browser asks each time.
        """
        self.request_id = getattr(self, "request_id", None) or new_request_id()
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "private, no-cache")
        for name, value in common_headers(self.request.headers.get("Origin"), self.services.settings.cors_origins):
            self.set_header(name, value)

    def options(self, *_: str, **__: str) -> None:
        """Answer a preflight, for every path and without a sign-in."""
        self.set_header("Access-Control-Allow-Methods", ", ".join(_METHODS))
        self.set_header("Access-Control-Allow-Headers", _CORS_ALLOWED_HEADERS)
        self.set_header("Access-Control-Max-Age", "86400")
        self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.finish({})

    async def head(self, *args: str, **kwargs: str) -> None:
        """The headers of the same GET; Tornado leaves out the body."""
        if "GET" not in self.allowed_methods():
            raise self._method_not_allowed()
        result = self.get(*args, **kwargs)
        if result is not None:
            await result

    @classmethod
    def allowed_methods(cls) -> Sequence[str]:
        """The verbs that this endpoint has."""
        own = [verb for verb in _METHODS if getattr(cls, verb.lower()) is not getattr(RequestHandler, verb.lower())]
        return own if "GET" in own else [verb for verb in own if verb != "HEAD"]

    def _method_not_allowed(self) -> MethodNotAllowed:
        return MethodNotAllowed(self.request.method or "", self.allowed_methods())

    def _is_allowed_origin(self, origin: str) -> bool:
        return origin in self.services.settings.cors_origins

    def _is_same_origin(self, origin: str) -> bool:
        """Of this very server; a proxy may have changed the name that it was asked by."""
        scheme, _, host = origin.partition("://")  # a browser sends nothing else (RFC 6454, 6.2)
        is_asked = scheme in ("http", "https") and host == self.request.host.lower()
        return is_asked or origin == self.services.settings.public_url

    def respond(self, body: object, status: int = 200) -> None:
        """Finish with JSON: an object, or the array of videos."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    async def _execute(self, transforms: list[Any], *args: bytes, **kwargs: bytes) -> None:
        """Called by Tornado for each request. Whatever fails in it, the client gets an answer, or is told the end."""
        try:
            await super()._execute(transforms, *args, **kwargs)
        finally:
            if not self._finished:
                self._abandon("the handler ended without an answer")

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        """Answer. When the body was not read to its end the connection ends with the answer, which says so."""
        connection = self.request.connection
        if connection is not None and not getattr(connection, "_read_finished", True):
            let_be_the_last(connection)
        return super().finish(chunk)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Called by Tornado for what a handler raises. An error in telling the error is told in one line of the log."""
        if self._headers_written:
            self._abandon("an error after the head of the answer")
            return
        self.clear()
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        try:
            self.set_status(status_code, reason=error.reason if isinstance(error, HTTPError) else None)
            self.write_error(status_code, **kwargs)
        except Exception as failure:
            self._abandon(f"{type(failure).__name__} while an error was told")

    def _abandon(self, reason: str) -> None:
        """Give the client a bare 500, or break the answer off; log it in one line."""
        if self._finished:
            _log.error("request ended badly request_id=%s reason=%s", self.request_id, reason)
            return
        self._finished = True
        if self.request.connection is not None:
            abandon(self.request.connection, reason, self.request_id)
        try:
            self.on_finish()
        except Exception as error:
            _log.error("request ended badly request_id=%s reason=%s", self.request_id, type(error).__name__)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error becomes a JSON object here, and nowhere else."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if error is not None:
            error = self.services.to_service_error(error) or error
        if isinstance(error, HTTPError) and status_code == 405:  # a verb that Tornado does not know: PROPFIND, TRACE
            error = self._method_not_allowed()
        if isinstance(error, ServiceError):
            self.set_status(error.status)
            for name, value in error.headers.items():
                self.set_header(name, value)
            self.respond(error.body, error.status)
        elif isinstance(error, HTTPError):
            self.respond({"detail": f"{self._reason}."}, status_code)
        else:
            self.respond({"detail": "Internal server error.", "request_id": self.request_id}, 500)

    def log_exception(self, exc_type: Any, error: Any, traceback: Any) -> None:
        """What a client caused is in the access log; what is our fault is logged with its trace."""
        if error is not None and self.services.is_outage(error):
            _log.warning("server away request_id=%s error=%s", self.request_id, type(error).__name__)
        elif not isinstance(error, HTTPError) and self.services.to_service_error(error) is None:
            _log.error(
                "unhandled request_id=%s path=%s", self.request_id, redact_path(self.request.path), exc_info=error
            )


class ApiHandler(BaseHandler):
    """JSON for signed-in users; a subclass says when it is `public`, for `admins_only`, or `opens_session`."""

    is_public: ClassVar[bool] = False
    is_admin_only: ClassVar[bool] = False
    is_login: ClassVar[bool] = False
    identity: Identity
    _renewed_access_token: str | None = None

    async def prepare(self) -> None:
        """Wrapped round every verb: which verbs there are, where the request came from, who sent it."""
        if self.request.method not in self.allowed_methods():
            raise self._method_not_allowed()
        if self.request.method == "OPTIONS":
            return
        self._reject_csrf()
        if is_body_truncated(self.request):
            raise PayloadTooLarge("The body is too large.")
        if not self.is_public:
            await self.services.accounts.ensure_current()
            await self._renew_access_token()
            self.identity = self.authenticate()
            if self.is_admin_only and not self.identity.is_admin:
                log_event(SecurityEvent.AUTHZ_FAIL, user=self.identity.user_id, client=self.client.address)
                raise Forbidden

    def authenticate(self) -> Identity:
        """Who sends this: the Bearer token, else the cookie. Raises NotAuthenticated or TokenNotValid."""
        token = self._bearer_token() or self._renewed_access_token or self.get_cookie(cookies.ACCESS)
        if not token:
            raise NotAuthenticated
        return self.services.accounts.identify(token)

    @property
    def client(self) -> Client:
        """Where this request comes from."""
        return Client(self.request.remote_ip or "", self.request.headers.get("User-Agent", ""))

    def public_url(self) -> str:
        """The setting, else the host that the client spoke to."""
        return self.services.settings.public_url or f"{self.request.protocol}://{self.request.host}"

    async def limit(self, action: LimitedAction, account: str = "") -> None:
        """Count an attempt. Raises Throttled when it is one too many."""
        device = self.get_cookie(cookies.DEVICE) or ""
        await self.services.rate_limiter.hit(action, self.client.address, account, device)

    def _bearer_token(self) -> str | None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    async def _renew_access_token(self) -> None:
        """Pages refresh seldom and never react to a 401: a GET with good cookies keeps its visitor signed in."""
        refresh_token = self.get_cookie(cookies.REFRESH)
        if self.request.method not in _SAFE_METHODS or self._bearer_token() is not None or not refresh_token:
            return
        accounts, settings = self.services.accounts, self.services.settings
        access_token = self.get_cookie(cookies.ACCESS)
        if accounts.is_renewal_due(access_token):
            is_urgent = not accounts.is_access_token_valid(access_token)
            try:
                async with asyncio.timeout(None if is_urgent else _RENEWAL_TIMEOUT_S):
                    self._renewed_access_token = await accounts.renew_access_token(refresh_token, self.client)
            except Exception as error:
                if is_urgent or not (isinstance(error, TimeoutError) or self.services.is_outage(error)):
                    raise
                accounts.suspend_renewals()  # the old one will do
                _log.warning("access token not renewed request_id=%s", self.request_id)
        if self._renewed_access_token:
            cookies.set_access_cookie(self, settings, self._renewed_access_token)
        if not self.get_cookie(cookies.CSRF):
            cookies.set_csrf_cookie(self, settings)

    def _reject_csrf(self) -> None:
        """Cross-site request forgery: a page elsewhere must not use the cookies of a visitor (Fetch Metadata).

        Nor sign its visitor in as somebody else, who would then see what is watched.
        """
        if self.request.method in _SAFE_METHODS or not (self._has_session_cookies() or self._can_be_login_csrf()):
            return
        origin = self.request.headers.get("Origin")
        if origin is None:
            forged = self.request.headers.get("Sec-Fetch-Site") == "cross-site"
        else:
            forged = not (self._is_allowed_origin(origin) or self._is_same_origin(origin))
        if forged:
            log_event(SecurityEvent.CROSS_SITE_REQUEST, client=self.request.remote_ip)
            raise Forbidden("Cross-site request refused.")

    def _has_session_cookies(self) -> bool:
        return bool(self.get_cookie(cookies.ACCESS) or self.get_cookie(cookies.REFRESH))

    def _can_be_login_csrf(self) -> bool:
        """A browser that says `same-origin` is believed: a proxy may have changed the host."""
        return self.is_login and self.request.headers.get("Sec-Fetch-Site") != "same-origin"

    def parse_body(self, model: type[Model]) -> Model:
        """The request's body, JSON or form. Raises BadRequest or FieldErrors that name all bad fields at once."""
        return _validate(model, self._decode_body())

    def parse_query(self, model: type[Model]) -> Model:
        """The query; of a repeated parameter the last counts, and an empty one is none. Raises FieldErrors."""
        arguments = self.request.query_arguments.items()
        given = {name: values[-1].decode(errors="replace").strip() for name, values in arguments}
        return _validate(model, {name: value for name, value in given.items() if value})

    def _decode_body(self) -> Mapping[str, object]:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            return {name: values[-1].decode(errors="replace") for name, values in self.request.body_arguments.items()}
        if not self.request.body.strip():
            return {}
        try:
            given = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            place = f"line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else "body"
            raise BadRequest(f"JSON parse error - {place}") from None
        if not isinstance(given, dict):
            raise BadRequest("JSON parse error - an object is expected")
        return given


class NotFoundHandler(ApiHandler):
    """Every path that routes.py does not name: 404 as JSON."""

    is_public = True

    async def prepare(self) -> None:
        """Preflights of unknown paths are answered like all others."""
        if self.request.method != "OPTIONS":
            raise NotFound


def _validate(model: type[Model], data: Mapping[str, object]) -> Model:
    wrong = dict(model.cross_field_errors(data)) if issubclass(model, ApiBody) else {}
    try:
        body = model.model_validate(data)
    except ValidationError as error:
        raise FieldErrors({**wrong, **_errors_by_field(error)}) from None
    if wrong:
        raise FieldErrors(wrong)
    return body


def _errors_by_field(error: ValidationError) -> Mapping[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        sentences = fields.setdefault(str(item["loc"][0]) if item["loc"] else "detail", [])
        sentences.append(_VALIDATION_MESSAGES.get(item["type"]) or str(item["msg"]).removeprefix("Value error, "))
    return fields


_VALIDATION_MESSAGES = {
    "missing": "This field is required.",
    "string_type": "Not a valid string.",
    "string_unicode": "Not a valid string.",
    "bool_type": "Must be a valid boolean.",
    "bool_parsing": "Must be a valid boolean.",
    "string_too_short": "This field may not be blank.",
}
