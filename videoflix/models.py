"""What the service speaks of: users, sessions and videos, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


def now() -> datetime:
    """UTC, to the millisecond: what MongoDB keeps, so that a stored value equals the one it came from."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def isoformat(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z`, as every date of the API is written."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with an address. Inactive until the address is confirmed; disabled by an admin."""

    id: int
    email: str
    password_hash: str = field(repr=False)  # empty: no password opens the account
    is_active: bool = False
    is_disabled: bool = False
    is_admin: bool = False
    is_being_deleted: bool = False  # the deletion of the account has begun
    created_at: datetime = field(default_factory=now)
    # The last time; None once the address is confirmed, or an admin has decided.
    asked_to_confirm_at: datetime | None = None

    @property
    def can_sign_in(self) -> bool:
        """Whether a right password opens a session."""
        return self.is_active and not self.is_disabled


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, as an access token says it: no database was asked."""

    user_id: int
    session_id: str
    is_admin: bool
    expires: float


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from: the address, and the User-Agent header."""

    address: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in: a family of refresh tokens, of which the newest and its predecessors are known by their hashes."""

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
    """A session that ended: when, by the database's clock, and the Unix time until which tokens of it may live."""

    session_id: str
    ended_at: datetime
    expires: float


class VideoStatus(StrEnum):
    """What has become of an upload."""

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
    """A film of the catalogue. `timeline` is the engine's, opaque here; None until the source was probed."""

    id: int
    title: str
    description: str = ""
    category: str = ""
    created_at: datetime = field(default_factory=now)
    source: str
    status: VideoStatus = VideoStatus.PROCESSING
    error: str | None = None
    warning: str | None = None  # it is a film, but something about the upload should be known
    presentation: Mapping[str, object] | None = field(default=None, repr=False)
    renditions: tuple[str, ...] = ()  # names, smallest first
    segments: int = 0  # of each rendition
    duration: float = 0.0  # seconds
    chunks_done: frozenset[int] = frozenset()
    tasks_done: frozenset[str] = frozenset()
    task_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what tasks found out, by their kinds
    omissions: Mapping[str, str] = field(default_factory=dict)  # published without: error sentences by kinds of tasks
    tries: int = 0  # later attempts to make up for the omissions
    tried_at: float = 0.0  # Unix time of the last one

    @property
    def warnings(self) -> str | None:
        """All that its owner should know: about the upload, and about what the video is published without."""
        missing = (f"{_OMITTED.get(kind, kind)}: {sentence}" for kind, sentence in self.omissions.items())
        return " ".join(filter(None, (self.warning, *missing))) or None

    @property
    def may_be_retried(self) -> bool:
        """Whether another try can help: the work failed, or something is missing beside the segments."""
        return self.status is VideoStatus.FAILED or (self.status is VideoStatus.READY and bool(self.omissions))

    @property
    def is_playable(self) -> bool:
        """From the probe on: the playlists are complete and missing segments are encoded when they are asked for."""
        return self.presentation is not None and self.status is not VideoStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVideo:
    """What an admin says about a film that is to be taken in."""

    title: str
    description: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVideo:
    """What lists and search need of a playable video."""

    id: int
    title: str
    description: str
    category: str
    created_at: datetime
    duration: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchProgress:
    """How far somebody has watched a film; `position` and `duration` in seconds."""

    user_id: int
    video_id: int
    position: float
    duration: float
    finished: bool
    updated_at: datetime = field(default_factory=now)

    @property
    def key(self) -> tuple[int, int]:
        """Whose, and of which film."""
        return self.user_id, self.video_id


class Rating(StrEnum):
    """What somebody thinks of a film."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Votes:
    """How many people rated a film up and down."""

    ups: int
    downs: int
