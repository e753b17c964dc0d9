"""The records of the service (users, sessions, videos, ratings) as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


def now() -> datetime:
    """Return the time in UTC, truncated to milliseconds like in MongoDB, so that a value survives a round trip."""
    current = datetime.now(UTC)
    return current.replace(microsecond=current.microsecond // 1000 * 1000)


def isoformat(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with `Z`, the format of all dates in the API."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user account: inactive until its email address is confirmed, and disabled if an admin says so."""

    id: int
    email: str
    password_hash: str = field(repr=False)  # empty: no password is accepted
    is_active: bool = False
    is_disabled: bool = False
    is_admin: bool = False
    is_being_deleted: bool = False  # its deletion has started
    created_at: datetime = field(default_factory=now)
    # When confirmation was last requested; None once the address is confirmed or an admin has decided.
    asked_to_confirm_at: datetime | None = None

    @property
    def can_sign_in(self) -> bool:
        """Whether the user may log in with the correct password."""
        return self.is_active and not self.is_disabled


@dataclass(frozen=True, slots=True)
class Identity:
    """The sender of a request according to the access token, without a database query."""

    user_id: int
    session_id: str
    is_admin: bool
    expires: float  # Unix time


@dataclass(frozen=True, slots=True)
class Client:
    """The origin of a request."""

    address: str = ""  # IP address
    device: str = ""  # the User-Agent header


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login: a family of refresh tokens. Hashes of the newest token and its predecessors are stored."""

    id: str
    user_id: int
    current: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    rotated_at: datetime = field(default_factory=now)
    # Hashes of the last tokens before the current one, oldest first, each with when it was replaced.
    predecessors: Sequence[tuple[str, datetime]] = field(default=(), repr=False)
    created_at: datetime = field(default_factory=now)
    last_seen: datetime = field(default_factory=now)
    expires_at: datetime
    ended_at: datetime | None = None
    device: str = ""  # the User-Agent header
    address: str = ""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A session that has ended."""

    session_id: str
    ended_at: datetime  # by the clock of the database
    expires: float  # Unix time at which its last token expires


class VideoStatus(StrEnum):
    """The state of an upload."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


# How a warning begins, by the kind of the task that failed.
_OMITTED = {
    "thumbnail": "There is no thumbnail",
    "loudness": "The loudness is not known",
    "tracks": "The other sound tracks are missing",
    "subtitles": "The subtitles are missing",
    "iframes": "There are no pictures for fast forward",
    "storyboard": "There is no storyboard",
    "finish": "The last step of the work failed",
    "probe": "The last step of the work failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video of the catalogue. `presentation` is the engine's JSON, or None until the source has been probed."""

    id: int
    title: str
    description: str = ""
    category: str = ""
    created_at: datetime = field(default_factory=now)
    source: str
    status: VideoStatus = VideoStatus.PROCESSING
    error: str | None = None
    warning: str | None = None  # playable, but with a defect that admins should know about
    presentation: Mapping[str, object] | None = field(default=None, repr=False)
    renditions: tuple[str, ...] = ()  # names, smallest first
    segments: int = 0  # of each rendition
    duration: float = 0.0  # seconds
    chunks_done: frozenset[int] = frozenset()
    tasks_done: frozenset[str] = frozenset()
    task_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by task kind
    omissions: Mapping[str, str] = field(default_factory=dict)  # published without: error sentences by task kind
    tries: int = 0  # later attempts to make up for the omissions
    tried_at: float = 0.0  # Unix time of the last one

    @property
    def warnings(self) -> str | None:
        """All that admins should know: about the upload, and about what the video is published without."""
        missing = (f"{_OMITTED.get(kind, kind)}: {sentence}" for kind, sentence in self.omissions.items())
        return " ".join(filter(None, (self.warning, *missing))) or None

    @property
    def may_be_retried(self) -> bool:
        """Whether another try can help: the work failed, or something is missing beside the segments."""
        return self.status is VideoStatus.FAILED or (self.status is VideoStatus.READY and bool(self.omissions))

    @property
    def is_playable(self) -> bool:
        """Whether it can be played: after the probe, playlists are complete and missing segments are made on demand."""
        return self.presentation is not None and self.status is not VideoStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVideo:
    """The texts that an admin gives for an upload."""

    title: str
    description: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVideo:
    """The part of a playable video that lists and search use."""

    id: int
    title: str
    description: str
    category: str
    created_at: datetime
    duration: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchProgress:
    """How far a user has watched a video."""

    user_id: int
    video_id: int
    position: float  # seconds
    duration: float  # seconds
    finished: bool
    updated_at: datetime = field(default_factory=now)

    @property
    def key(self) -> tuple[int, int]:
        """User id and video id, which identify the record."""
        return self.user_id, self.video_id


class Rating(StrEnum):
    """A user's rating of a video."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Votes:
    """How many users rated a video up and down."""

    ups: int
    downs: int
