"""The JSON shapes of all responses, and the functions that build them from the service's models.

Handlers pass the result to `ApiHandler.respond`. Existing pages rely on these keys: changing one breaks them. The list
of videos is the exception: `videoflix.catalogue.index` keeps it encoded, and builds each item by `video_item`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypedDict, cast

from videoflix.catalogue import JobProgress
from videoflix.catalogue.index import Category
from videoflix.catalogue.video_item import VideoItem, thumbnail_url, video_item
from videoflix.mail.outbox import OutboxMail
from videoflix.media import RESOLUTIONS
from videoflix.models import Rating, Session, User, Video, VideoStatus, Votes, WatchProgress, isoformat
from videoflix.viewing import UserVideoState

__all__ = ["VideoItem", "video_item"]

_MAX_UNFINISHED_PERCENT = 99  # 100 means that the video is ready


class Detail(TypedDict):
    """A sentence about what was done."""

    detail: str


class Message(TypedDict):
    """A sentence about what was done, under the key that existing pages read after an activation."""

    message: str


# Accounts


class RegisteredUser(TypedDict):
    """A user right after the registration."""

    id: int
    email: str


class RegistrationResult(TypedDict):
    """POST /api/register/. The token has no power; existing pages expect one."""

    user: RegisteredUser
    token: str


class LoginUser(TypedDict):
    """A user right after the login. `username` is the email address."""

    id: int
    username: str


class LoginResult(TypedDict):
    """POST /api/login/. The tokens are in cookies."""

    detail: str
    user: LoginUser


class RefreshResult(TypedDict):
    """POST /api/token/refresh/. `access` is a fixed word: the token is in a cookie."""

    detail: str
    access: str


class UserItem(TypedDict):
    """GET /api/me/: a user as that user sees it."""

    id: int
    email: str
    is_admin: bool
    created_at: str


class SessionItem(TypedDict):
    """A session of the current user. `device` is the User-Agent header, `is_current` the session of this request."""

    id: str
    device: str
    address: str
    created_at: str
    last_seen: str
    is_current: bool


class SessionList(TypedDict):
    """GET /api/me/sessions/."""

    sessions: list[SessionItem]


def health(reachable: Mapping[str, bool]) -> Mapping[str, str]:
    """Return the overall status, and the state of each server by its name."""
    status = "ok" if all(reachable.values()) else "unavailable"
    return {"status": status, **{name: "ok" if is_ok else "unreachable" for name, is_ok in reachable.items()}}


def detail(sentence: str) -> Detail:
    """Return a sentence as a response."""
    return {"detail": sentence}


def message(sentence: str) -> Message:
    """Return a sentence as a response to an activation."""
    return {"message": sentence}


def registration_result(user: User, placeholder_token: str) -> RegistrationResult:
    """Return the response to a registration."""
    return {"user": {"id": user.id, "email": user.email}, "token": placeholder_token}


def login_result(user: User) -> LoginResult:
    """Return the response to a login."""
    return {"detail": "Login successful", "user": {"id": user.id, "username": user.email}}


def refresh_result() -> RefreshResult:
    """Return the response to a token refresh."""
    return {"detail": "Token refreshed", "access": "new_access_token"}


def user_item(user: User) -> UserItem:
    """Return a user as that user sees it."""
    return {
        "id": user.id,
        "email": user.email,
        "is_admin": user.is_admin,
        "created_at": isoformat(user.created_at),
    }


def session_item(session: Session, current_session_id: str) -> SessionItem:
    """Return a session of the current user."""
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "created_at": isoformat(session.created_at),
        "last_seen": isoformat(session.last_seen),
        "is_current": session.id == current_session_id,
    }


def session_list(sessions: Iterable[Session], current_session_id: str) -> SessionList:
    """Return the sessions of the current user."""
    return {"sessions": [session_item(session, current_session_id) for session in sessions]}


# Videos


class CategoryItem(TypedDict):
    """A category and its number of playable videos."""

    name: str
    count: int


class CategoryList(TypedDict):
    """GET /api/categories/."""

    categories: list[CategoryItem]


class ProgressItem(TypedDict):
    """How far a user has watched a video. `position` and `duration` are in seconds."""

    position: float
    duration: float
    finished: bool
    updated_at: str


class ProgressResult(TypedDict):
    """The progress of the current user in a video, null if there is none."""

    progress: ProgressItem | None


class ContinueWatchingItem(VideoItem):
    """An item of GET /api/me/continue/: a video, and the progress of the current user in it."""

    progress: ProgressItem


class MyListEntry(TypedDict):
    """Whether a video is on the list of the current user."""

    id: int
    on_list: bool


class VoteCounts(TypedDict):
    """The numbers of users who rated a video up and down."""

    up: int
    down: int


class RatingResult(TypedDict):
    """The rating of the current user, null if there is none, and those of all users."""

    rating: Rating | None
    ratings: VoteCounts


class UserState(ProgressResult, RatingResult):
    """The part of a video's details that depends on the current user."""

    on_list: bool


class WorkItem(TypedDict):
    """How far the transcoding of a video is. `seconds_left` is null if no estimate is possible."""

    percent: int
    seconds_left: float | None


class VideoDetails(VideoItem, UserState):
    """GET /api/video/<id>/: a video with the URLs of its files.

    `duration` is in seconds, `loudness` in LUFS, `hls_urls` by resolution. `work` is null unless the video is being
    transcoded.
    """

    status: str
    playable: bool
    duration: float
    renditions: list[str]
    master_url: str | None
    hls_urls: dict[str, str]
    storyboard: str | None
    loudness: float | None
    work: WorkItem | None


class PlaybackAddress(TypedDict):
    """GET /api/video/<id>/playback/: a URL for players without cookies, and the token in it."""

    master_url: str
    token: str
    expires_at: str


def category_list(categories: Iterable[Category]) -> CategoryList:
    """Return the categories in the given order."""
    return {"categories": [{"name": category.name, "count": category.count} for category in categories]}


def progress_item(progress: WatchProgress) -> ProgressItem:
    """Return how far a user has watched a video."""
    return {
        "position": progress.position,
        "duration": progress.duration,
        "finished": progress.finished,
        "updated_at": isoformat(progress.updated_at),
    }


def progress_result(progress: WatchProgress | None) -> ProgressResult:
    """Return the progress of the current user in a video."""
    return {"progress": progress_item(progress) if progress else None}


def my_list_entry(video_id: int, is_on_list: bool) -> MyListEntry:
    """Return whether a video is on the list of the current user."""
    return {"id": video_id, "on_list": is_on_list}


def rating_result(rating: Rating | None, votes: Votes) -> RatingResult:
    """Return the rating of the current user and those of all users."""
    return {"rating": rating, "ratings": {"up": votes.ups, "down": votes.downs}}


def user_state(state: UserVideoState) -> UserState:
    """Return the part of a video's details that depends on the current user."""
    return {
        **progress_result(state.progress),
        **rating_result(state.rating, state.votes),
        "on_list": state.is_on_list,
    }


def work_item(video: Video, progress: JobProgress | None) -> WorkItem | None:
    """Return how far the transcoding is, or None if the video is not being transcoded or nothing is known."""
    if progress is None or video.status is not VideoStatus.PROCESSING:
        return None
    return {"percent": _unfinished_percent(progress), "seconds_left": progress.seconds_left}


def video_details(video: Video, progress: JobProgress | None, state: UserVideoState, base_url: str) -> VideoDetails:
    """Return everything about one video, playable or not. `base_url` is this server's (`https://host`)."""
    hls_url = f"{base_url}/media/hls/{video.id}"
    resolutions = RESOLUTIONS if video.is_playable else ()
    return {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": thumbnail_url(video.id, base_url),
        "category": video.category,
        "status": video.status.value,
        "playable": video.is_playable,
        "duration": video.duration,
        "renditions": list(video.renditions),
        "master_url": f"{hls_url}/master.m3u8" if video.is_playable else None,
        "hls_urls": {name: f"{hls_url}/{name}/index.m3u8" for name in resolutions},
        "storyboard": f"{hls_url}/storyboard/index.vtt" if _has_storyboard(video) else None,
        "loudness": _loudness(video),
        "work": work_item(video, progress),
        **user_state(state),
    }


def playback_address(video_id: int, token: str, expires_at: float, base_url: str) -> PlaybackAddress:
    """Return a URL for players without cookies. `expires_at` is in Unix seconds."""
    return {
        "master_url": f"{base_url}/media/hls/{video_id}/master.m3u8?token={token}",
        "token": token,
        "expires_at": isoformat(datetime.fromtimestamp(expires_at, UTC)),
    }


def _unfinished_percent(progress: JobProgress) -> int:
    return min(_MAX_UNFINISHED_PERCENT, int(progress.percent))


def _has_storyboard(video: Video) -> bool:
    """Return whether there is a storyboard, made by its own task or, in older versions, by the last task."""
    return bool(_task_result(video, "storyboard", "pictures") or _task_result(video, "finish", "storyboard"))


def _loudness(video: Video) -> float | None:
    """Return the loudness in LUFS, measured with the audio or by a task of its own; None if it is not known."""
    loudness = _task_result(video, "audio", "loudness") or _task_result(video, "loudness", "loudness")
    return cast("float | None", loudness)


def _task_result(video: Video, task_kind: str, key: str) -> object:
    """Return a value that a task reported; None before the task is done."""
    result = video.task_results.get(task_kind)
    return result.get(key) if isinstance(result, Mapping) else None


# Administration


class AdminVideo(TypedDict):
    """A video as admins see it.

    `progress` is in per cent; `waits_for` names what the transcoding is paused for; `error` is why it failed;
    `warning` says what is missing from a video that plays.
    """

    id: int
    title: str
    description: str
    category: str
    created_at: str
    status: str
    playable: bool
    progress: int
    seconds_left: float | None
    waits_for: str | None
    error: str | None
    warning: str | None
    may_be_retried: bool


class TaskItem(TypedDict):
    """A task of a job. Times are in Unix seconds, 0 if not yet; `progress` is in per cent; `limit` is of attempts."""

    id: str
    kind: str
    index: int
    rendition: str
    state: str
    attempts: int
    limit: int
    progress: float
    worker: str
    error: str
    last_words: str
    created_at: float
    claimed_at: float
    ended_at: float
    weight: float


class JobItem(TypedDict):
    """The transcoding of one video, whose id is `film`. Times are in Unix seconds, 0 if not yet."""

    id: str
    film: int
    state: str
    error: str
    waits_for: str
    seconds_left: float | None
    created_at: float
    started_at: float
    ended_at: float
    progress: float
    tasks: list[TaskItem]


class JobList(TypedDict):
    """GET /api/admin/jobs/."""

    jobs: list[JobItem]


class AdminUser(TypedDict):
    """A user as admins see it."""

    id: int
    email: str
    is_active: bool
    is_disabled: bool
    is_admin: bool
    created_at: str


class UserPage(TypedDict):
    """GET /api/admin/users/: a page of users; `count` is the number on all pages."""

    count: int
    users: list[AdminUser]


class MailItem(TypedDict):
    """A mail that was not sent yet. `error` is the mail server's last reply; `next_at` is null if it was given up."""

    id: str
    kind: str
    address: str
    status: Literal["owed", "given_up"]
    attempts: int
    error: str
    created_at: str
    next_at: str | None


class MailList(TypedDict):
    """GET /api/admin/mails/."""

    mails: list[MailItem]


def admin_video(video: Video, progress: JobProgress | None) -> AdminVideo:
    """Return a video as admins see it."""
    work = progress if video.status is VideoStatus.PROCESSING else None
    return {
        "id": video.id,
        "title": video.title,
        "description": video.description,
        "category": video.category,
        "created_at": isoformat(video.created_at),
        "status": video.status.value,
        "playable": video.is_playable,
        "progress": _admin_percent(video, progress),
        "seconds_left": work.seconds_left if work else None,
        "waits_for": (work.waits_for or None) if work else None,
        "error": video.error,
        "warning": video.warnings,
        "may_be_retried": video.may_be_retried,
    }


def job_list(jobs: Sequence[Mapping[str, object]]) -> JobList:
    """Return the engine's jobs. They have their shape already: copying thousands of tasks would take too long."""
    return {"jobs": cast("list[JobItem]", list(jobs))}


def admin_user(user: User) -> AdminUser:
    """Return a user as admins see it."""
    return {
        "id": user.id,
        "email": user.email,
        "is_active": user.is_active,
        "is_disabled": user.is_disabled,
        "is_admin": user.is_admin,
        "created_at": isoformat(user.created_at),
    }


def user_page(users: Iterable[User], count: int) -> UserPage:
    """Return a page of users, of `count` in all."""
    return {"count": count, "users": [admin_user(user) for user in users]}


def mail_item(mail: OutboxMail) -> MailItem:
    """Return a mail that was not sent yet."""
    return {
        "id": mail.id,
        "kind": mail.kind,
        "address": mail.address,
        "status": "given_up" if mail.given_up_at else "owed",
        "attempts": mail.attempts,
        "error": mail.error,
        "created_at": isoformat(mail.created_at),
        "next_at": None if mail.given_up_at else isoformat(mail.next_at),
    }


def mail_list(mails: Iterable[OutboxMail]) -> MailList:
    """Return the mails that were not sent yet."""
    return {"mails": [mail_item(mail) for mail in mails]}


def _admin_percent(video: Video, progress: JobProgress | None) -> int:
    if video.status is VideoStatus.READY:
        return 100
    return _unfinished_percent(progress) if progress else 0
