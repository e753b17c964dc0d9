"""All URLs of the service. Every path below /api/ works with and without a trailing slash."""

from __future__ import annotations

from tornado.routing import URLSpec

from handlers.accounts import (
    ActivateHandler,
    CsrfHandler,
    LoginHandler,
    LogoutHandler,
    PasswordConfirmHandler,
    PasswordResetHandler,
    RefreshHandler,
    RegisterHandler,
    ResendActivationHandler,
)
from handlers.admin.jobs import JobsHandler
from handlers.admin.mails import MailHandler, MailRetryHandler, MailsHandler
from handlers.admin.users import UserHandler, UsersHandler
from handlers.admin.videos import AdminVideoHandler, AdminVideosHandler, CancelHandler, RetryHandler
from handlers.application import Application
from handlers.base import NotFoundHandler
from handlers.health import LivenessHandler, ReadinessHandler
from handlers.me import MeHandler, MySessionHandler, MySessionsHandler
from handlers.media.handler import MediaHandler, ThumbnailHandler
from handlers.metrics import MetricsHandler, record_request
from handlers.playback import PlaybackHandler
from handlers.videos import CategoriesHandler, PopularHandler, SimilarHandler, VideoHandler, VideoListHandler
from handlers.viewing import ContinueWatchingHandler, MyListEntryHandler, MyListHandler, ProgressHandler, RatingHandler
from handlers.web_ui.handler import WebUiHandler
from videoflix.services import Services

_VIDEO_ID = r"(?P<video_id>[0-9]{1,15})"
_MEDIA_PATH = r"(?P<path>[^/]+(?:/[^/]+)?)(?P<slash>/?)"
_UID, _TOKEN = r"(?P<uid>[^/]{1,64})", r"(?P<token>[^/]{1,512})"

ROUTES = (
    (r"/", WebUiHandler),
    (r"/page/(?P<name>[^/]{1,64})", WebUiHandler),
    (r"/healthz/?", LivenessHandler),
    (r"/readyz/?", ReadinessHandler),
    (r"/metrics/?", MetricsHandler),
    (r"/api/register/?", RegisterHandler),
    (rf"/api/activate/{_UID}/{_TOKEN}/?", ActivateHandler),
    (rf"/api/activate/{_TOKEN}/?", ActivateHandler),
    (r"/api/resend_activation/?", ResendActivationHandler),
    (r"/api/login/?", LoginHandler),
    (r"/api/logout/?", LogoutHandler),
    (r"/api/token/refresh/?", RefreshHandler),
    (r"/api/password_reset/?", PasswordResetHandler),
    (rf"/api/password_confirm/{_UID}/{_TOKEN}/?", PasswordConfirmHandler),
    (rf"/api/password_confirm/{_TOKEN}/?", PasswordConfirmHandler),
    (r"/api/csrf/?", CsrfHandler),
    (r"/api/me/sessions/(?P<session_id>[\w-]{1,64})/?", MySessionHandler),
    (r"/api/me/sessions/?", MySessionsHandler),
    (r"/api/me/?", MeHandler),
    (r"/api/admin/users/(?P<user_id>[0-9]{1,15})/?", UserHandler),
    (r"/api/admin/users/?", UsersHandler),
    (r"/api/admin/mails/(?P<mail_id>[0-9a-f]{1,64})/retry/?", MailRetryHandler),
    (r"/api/admin/mails/(?P<mail_id>[0-9a-f]{1,64})/?", MailHandler),
    (r"/api/admin/mails/?", MailsHandler),
    (r"/api/video/?", VideoListHandler),
    (rf"/api/video/{_VIDEO_ID}/?", VideoHandler),
    (rf"/api/video/{_VIDEO_ID}/similar/?", SimilarHandler),
    (rf"/api/video/{_VIDEO_ID}/progress/?", ProgressHandler),
    (rf"/api/video/{_VIDEO_ID}/rating/?", RatingHandler),
    (r"/api/categories/?", CategoriesHandler),
    (r"/api/popular/?", PopularHandler),
    (r"/api/me/continue/?", ContinueWatchingHandler),
    (r"/api/me/list/?", MyListHandler),
    (rf"/api/me/list/{_VIDEO_ID}/?", MyListEntryHandler),
    (rf"/api/admin/videos/{_VIDEO_ID}/?", AdminVideoHandler),
    (rf"/api/admin/videos/{_VIDEO_ID}/retry/?", RetryHandler),
    (rf"/api/admin/videos/{_VIDEO_ID}/cancel/?", CancelHandler),
    (r"/api/admin/videos/?", AdminVideosHandler),
    (r"/api/admin/jobs/?", JobsHandler),
    (rf"/api/video/{_VIDEO_ID}/playback/?", PlaybackHandler),
    (rf"/media/thumbnails/{_VIDEO_ID}\.jpg", ThumbnailHandler),
    (rf"/media/hls/{_VIDEO_ID}/{_MEDIA_PATH}", MediaHandler),
    (rf"/api/video/{_VIDEO_ID}/{_MEDIA_PATH}", MediaHandler),
)


def make_application(services: Services) -> Application:
    """Return the Tornado application that serves all routes with these services."""
    arguments = {"services": services}
    return Application(
        [URLSpec(pattern, handler, arguments) for pattern, handler in ROUTES],
        services,
        default_handler_class=NotFoundHandler,
        default_handler_args=arguments,
        log_function=record_request,
    )
