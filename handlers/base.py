"""The base classes of all endpoints: response headers, authentication, JSON responses and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import structlog
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from handlers import cookies, parsing
from handlers.credentials import Credential, bearer_token, find_credential
from handlers.cross_origin import METHODS, SAFE_METHODS, is_cross_site, preflight_headers
from handlers.error_responses import to_response
from handlers.http.abandon import abandon
from handlers.http.access_log import redact_path
from handlers.http.body_limit import is_body_truncated
from handlers.http.client_address import apply_forwarded_headers
from handlers.http.response_headers import common_headers, new_request_id
from handlers.parsing import Model
from handlers.tornado_internals.connections import disconnect_after_response, is_request_read
from handlers.tornado_internals.request_handlers import ObservedHandler
from videoflix.accounts.rate_limits import LimitedAction
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.errors import (
    Forbidden,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
)
from videoflix.models import Client, Identity
from videoflix.service_errors import to_service_error
from videoflix.services import Services

_log = structlog.get_logger(__name__)

_RENEWAL_TIMEOUT_S = 1.0  # how long a request whose access token is still valid waits for a new one


class BaseHandler(ObservedHandler):
    """An endpoint with CORS and JSON errors, whatever its responses contain and whoever may call it."""

    metrics_label: ClassVar[str] = "unknown"  # the `family` of its requests in the metrics

    answer_within_s: ClassVar[float] = 120.0  # from the end of the request; a watchdog enforces it

    def __init__(
        self, application: Application, request: HTTPServerRequest, *, services: Services, **kwargs: Any
    ) -> None:
        """Set the services, not in `initialize`: Tornado calls `set_default_headers` before that."""
        self.services = services
        apply_forwarded_headers(request, services.settings.trusted_proxies)
        super().__init__(application, request, **kwargs)

    def set_default_headers(self) -> None:
        """Set the CORS and security headers. Tornado calls this before anything else, and again for every error.

        Responses are per-user: shared caches must not store them, and browsers must revalidate.
        """
        self.request_id = getattr(self, "request_id", None) or new_request_id()
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "private, no-cache")
        for name, value in common_headers(self.request.headers.get("Origin"), self.services.settings.cors_origins):
            self.set_header(name, value)

    def options(self, *_: str, **__: str) -> None:
        """Respond to a CORS preflight. It needs no authentication."""
        for name, value in preflight_headers(self.allowed_methods()).items():
            self.set_header(name, value)
        self.finish({})

    async def head(self, *args: str, **kwargs: str) -> None:
        """Respond with the headers of GET. Tornado omits the body."""
        if "GET" not in self.allowed_methods():
            raise self._method_not_allowed()
        result = self.get(*args, **kwargs)
        if result is not None:
            await result

    @classmethod
    def allowed_methods(cls) -> Sequence[str]:
        """Return the methods that this endpoint implements."""
        names = [name for name in METHODS if getattr(cls, name.lower()) is not getattr(RequestHandler, name.lower())]
        return names if "GET" in names else [name for name in names if name != "HEAD"]

    def _method_not_allowed(self) -> MethodNotAllowed:
        return MethodNotAllowed(self.request.method or "", self.allowed_methods())

    def respond(self, body: object, status: int = 200) -> None:
        """Finish with a JSON body: an object, or an array of videos. See `handlers.views` for the shapes."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def on_unanswered(self) -> None:
        """Abandon a request that its handler has not answered."""
        self._abandon("the handler returned without a response")

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        """Finish the response, and close the connection after it if the request body was not read to the end."""
        connection = self.request.connection
        if connection is not None and not is_request_read(connection):
            disconnect_after_response(connection)
        return super().finish(chunk)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Respond to an exception. Tornado calls this. If that fails too, log one line and abandon the request."""
        if self.is_head_sent:
            self._abandon("error after the response headers were sent")
            return
        self.clear()
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        try:
            self.set_status(status_code, reason=error.reason if isinstance(error, HTTPError) else None)
            self.write_error(status_code, **kwargs)
        except Exception as failure:
            self._abandon(f"{type(failure).__name__} in the error response")

    def _abandon(self, reason: str) -> None:
        """Send a bare 500, or close the connection if the response has begun. Logs one line."""
        if self.is_finished:
            _log.error("request_cleanup_failed", request_id=self.request_id, reason=reason)
            return
        self.mark_finished()
        if self.request.connection is not None:
            abandon(self.request.connection, reason, self.request_id)
        try:
            self.on_finish()
        except Exception as error:
            _log.error("request_cleanup_failed", request_id=self.request_id, reason=type(error).__name__)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error as JSON. Tornado calls this for every error of every endpoint."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if error is not None:
            error = to_service_error(error, self.services.is_outage) or error
        if isinstance(error, HTTPError) and status_code == 405:  # unknown to Tornado: PROPFIND, TRACE
            error = self._method_not_allowed()
        response = to_response(error, status_code, self.reason, self.request_id)
        for name, value in response.headers.items():
            self.set_header(name, value)
        self.respond(response.body, response.status)

    def log_exception(self, exc_type: Any, error: Any, traceback: Any) -> None:
        """Log bugs with their traceback. What clients cause is in the access log."""
        if error is not None and self.services.is_outage(error):
            _log.warning("server_unreachable", request_id=self.request_id, error=type(error).__name__)
        elif not isinstance(error, HTTPError) and to_service_error(error, self.services.is_outage) is None:
            path = redact_path(self.request.path)
            _log.error("unhandled_exception", request_id=self.request_id, path=path, exc_info=error)


class ApiHandler(BaseHandler):
    """A JSON endpoint for signed-in users, unless a subclass declares otherwise."""

    is_public: ClassVar[bool] = False  # needs no authentication
    is_admin_only: ClassVar[bool] = False
    opens_session: ClassVar[bool] = False  # logs the client in: a target of login CSRF
    identity: Identity
    _renewed_access_token: str | None = None

    async def prepare(self) -> None:
        """Check method, origin, body size, authentication and rights before every method but OPTIONS."""
        if self.request.method not in self.allowed_methods():
            raise self._method_not_allowed()
        if self.request.method == "OPTIONS":
            return
        self._reject_csrf()
        if is_body_truncated(self.request):
            raise PayloadTooLarge("The body is too large.")
        if not self.is_public:
            await self.services.token_verifier.ensure_current()
            await self._renew_access_token()
            self.identity = self.authenticate()
            if self.is_admin_only and not self.identity.is_admin:
                log_event(SecurityEvent.AUTHZ_FAIL, user_id=self.identity.user_id, client=self.client.address)
                raise Forbidden

    def authenticate(self) -> Identity:
        """Return who sends this request. Raises NotAuthenticated or TokenNotValid."""
        if (credential := self.find_credential()) is None:
            raise NotAuthenticated
        return self.services.token_verifier.verify_access_token(credential.token)

    def find_credential(self, playback_token: str = "") -> Credential | None:
        """Return the credential that identifies the sender of this request."""
        access_cookie = self._renewed_access_token or self.get_cookie(cookies.ACCESS)
        return find_credential(self.request.headers.get("Authorization"), playback_token, access_cookie)

    @property
    def client(self) -> Client:
        """The address and User-Agent of the client."""
        return Client(self.request.remote_ip or "", self.request.headers.get("User-Agent", ""))

    def public_url(self) -> str:
        """Return PUBLIC_URL, or else the host of this request with its protocol."""
        return self.services.settings.public_url or f"{self.request.protocol}://{self.request.host}"

    async def limit(self, action: LimitedAction, account: str = "") -> None:
        """Count an attempt of this client. Raises Throttled if there were too many."""
        device = self.get_cookie(cookies.DEVICE) or ""
        await self.services.rate_limiter.hit(action, self.client.address, account, device)

    def _bearer_token(self) -> str | None:
        return bearer_token(self.request.headers.get("Authorization"))

    async def _renew_access_token(self) -> None:
        """Renew the access token on a GET with a valid refresh cookie.

        Existing pages refresh it rarely and never react to a 401. If the current token is still valid, the request does
        not wait long for a new one and does not need it.
        """
        refresh_token = self.get_cookie(cookies.REFRESH)
        if self.request.method not in SAFE_METHODS or self._bearer_token() is not None or not refresh_token:
            return
        token_verifier, settings = self.services.token_verifier, self.services.settings
        access_token = self.get_cookie(cookies.ACCESS)
        if token_verifier.needs_renewal(access_token):
            is_urgent = not token_verifier.is_access_token_valid(access_token)
            try:
                async with asyncio.timeout(None if is_urgent else _RENEWAL_TIMEOUT_S):
                    self._renewed_access_token = await token_verifier.renew_access_token(refresh_token, self.client)
            except Exception as error:
                if is_urgent or not (isinstance(error, TimeoutError) or self.services.is_outage(error)):
                    raise
                token_verifier.suspend_renewals()  # the old one will do
                _log.warning("access_token_renewal_failed", request_id=self.request_id, error=type(error).__name__)
        if self._renewed_access_token:
            cookies.set_access_cookie(self, settings, self._renewed_access_token)
        if not self.get_cookie(cookies.CSRF):
            cookies.set_csrf_cookie(self, settings)

    def _reject_csrf(self) -> None:
        """Raise Forbidden for a request that a page of another site sends with the visitor's cookies.

        Such a page must not log its visitor in either: as someone else, who could then see what the visitor watches.
        """
        if self.request.method in SAFE_METHODS or not (self._has_session_cookies() or self._can_be_login_csrf()):
            return
        if is_cross_site(self.request, self.services.settings):
            log_event(SecurityEvent.CROSS_SITE_REQUEST, client=self.request.remote_ip)
            raise Forbidden("Cross-site request refused.")

    def _has_session_cookies(self) -> bool:
        return bool(self.get_cookie(cookies.ACCESS) or self.get_cookie(cookies.REFRESH))

    def _can_be_login_csrf(self) -> bool:
        """Return whether this may be a forged login. `same-origin` is trusted: a proxy may have changed the host."""
        return self.opens_session and self.request.headers.get("Sec-Fetch-Site") != "same-origin"

    def parse_body(self, model: type[Model]) -> Model:
        """Return the request body as a model. Raises BadRequest or FieldErrors."""
        return parsing.parse_body(self.request, model)

    def parse_query(self, model: type[Model]) -> Model:
        """Return the query as a model. Raises FieldErrors."""
        return parsing.parse_query(self.request, model)


class NotFoundHandler(ApiHandler):
    """Responds with 404 to every path without a route."""

    is_public = True

    async def prepare(self) -> None:
        """Raise NotFound, except for preflights."""
        if self.request.method != "OPTIONS":
            raise NotFound
