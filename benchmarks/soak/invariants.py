"""The invariants: what must hold some time after the last fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import m3u8

from benchmarks.soak.client import CheckedClient
from benchmarks.soak.record import SoakReport
from benchmarks.soak.samples import SampleFile
from benchmarks.soak.site import Site
from benchmarks.soak.users import DeletedAccount, Person, Session
from benchmarks.soak.videos import Admin
from tests.support import hls_checks
from transcode.ffmpeg.binaries import FfmpegBinaries

_SETTLE_TIMEOUT_S = 420.0  # a mail whose sender was killed is sent again after three minutes
_MEDIA_ENTRIES = ("hls", "videos", "thumbnails", "scratch", ".lock")  # entries of the media folder
# Log events and messages of errors that nothing handles.
_BUG_MARKERS = (
    "unhandled_exception",
    "request_cleanup_failed",
    "task_crashed",
    "video_skipped",
    "maintenance_failed",
    "subscription_failed",
    "never retrieved",
    "Traceback",
)
_MAX_IDLE_DESCRIPTORS = 200  # of a web process; a fresh one has about 30, and clients keep connections
_MAX_WEB_MIB = 400  # a fresh one takes about 110
_CANCELLED_ERROR = "The work was cancelled."


class Invariants:
    """Checks the invariants of one site."""

    def __init__(
        self, site: Site, report: SoakReport, admin: Admin, people: Sequence[Person], binaries: FfmpegBinaries
    ) -> None:
        self._site = site
        self._report = report
        self._admin = admin
        self._people = people
        self._binaries = binaries
        self._client = CheckedClient(site.instance.url, report)
        self._unexpected_files: Sequence[str] = ()

    async def check(self) -> None:
        """Check all invariants and report violations."""
        await self._wait_until(self._is_ready, "everything answers")
        await self._wait_until(self._has_answered_deletions, "every deletion gets an answer")
        await self._wait_until(self._is_settled, "every video is ready or failed")
        await self._wait_until(self._is_idle, "nothing works any more")
        videos = await self._list_videos()
        await self._check_videos(videos)
        await self._check_list(videos)
        await self._wait_until(
            lambda: self._is_swept(videos), lambda: f"no file too many or too few: {self._unexpected_files}"
        )
        for person in self._people:
            await self._check_person(person)
        self._check_resources()
        self._check_logs()

    async def _wait_until(self, condition: Callable[[], Awaitable[bool]], description: str | Callable[[], str]) -> None:
        begin = time.monotonic()
        while not await condition():
            if time.monotonic() - begin > _SETTLE_TIMEOUT_S:
                self._report.report_violation(
                    f"not within {_SETTLE_TIMEOUT_S:.0f} s: "
                    f"{description if isinstance(description, str) else description()}"
                )
                return
            await asyncio.sleep(0.5)
        self._report.log_event(
            f"{time.monotonic() - begin:.1f} s until {description if isinstance(description, str) else 'swept'}"
        )

    async def _get(self, path: str) -> Any:
        """Send a GET request, which has to succeed now that all faults are over."""
        answer = await self._client.request("GET", path, token=self._admin.token)
        self._report.require(answer.status == 200, f"GET {path}: {answer.status} {answer.body!r}")
        return answer.json if answer.status == 200 else []

    async def _list_videos(self) -> list[dict[str, Any]]:
        return list(await self._get("/api/admin/videos/"))

    async def _is_ready(self) -> bool:
        answer = await self._client.request("GET", "/readyz")
        return answer.status == 200 and len(self._site.processes_of_kind("worker")) == 2

    async def _has_answered_deletions(self) -> bool:
        for expected in self._report.videos.values():
            if expected.is_deleted is None and await self._admin.delete(expected) not in (200, 404):
                return False
        return True

    async def _is_settled(self) -> bool:
        """Return whether all videos are ready or failed. Retry those that were cancelled."""
        videos = await self._list_videos()
        for video in videos:
            if video["error"] == _CANCELLED_ERROR:
                await self._client.request(
                    "POST", f"/api/admin/videos/{video['id']}/retry/", b"", token=self._admin.token
                )
        return all(video["status"] != "processing" and video["error"] != _CANCELLED_ERROR for video in videos)

    async def _is_idle(self) -> bool:
        jobs = (await self._get("/api/admin/jobs/"))["jobs"]
        return not self._site.processes_of_kind("ffmpeg") and not any(
            job["state"] in ("queued", "running", "retrying") for job in jobs
        )

    async def _check_videos(self, videos: Sequence[dict[str, Any]]) -> None:
        """Check that exactly the promised videos exist."""
        known = {video["id"]: video for video in videos}
        for expected in self._report.videos.values():
            video = known.pop(expected.id, None)
            if expected.is_deleted:
                self._report.require(video is None, f"video {expected.id} was deleted, but exists")
            elif video is None:
                self._report.report_violation(f"video {expected.id} ({expected.sample.name}) is gone")
            else:
                is_current = expected.description in (None, video["description"])
                self._report.require(
                    is_current, f"video {expected.id} lost its description {expected.description}: {video}"
                )
                await self._check_video(video, expected.sample)
        for title, kind in self._report.imported_videos.items():
            self._report.require(any(video["title"] == title for video in videos), f"an import ({kind.name}) is gone")
        for video in known.values():  # imported, or uploaded without a response
            if kind := (self._report.imported_videos | self._report.possible_videos).get(video["title"]):
                await self._check_video(video, kind)
            else:
                self._report.report_violation(f"video {video['id']} is unexpected: {video}")

    async def _check_video(self, video: dict[str, Any], sample: SampleFile) -> None:
        what = f"video {video['id']} ({sample.name})"
        self._report.count(f"videos {video['status']}")
        if sample.expected_error:
            is_right = video["status"] == "failed" and (video["error"] or "").startswith(sample.expected_error)
            self._report.require(is_right, f"{what} should be refused: {video}")
            return
        if video["status"] != "ready":
            self._report.report_violation(f"{what} is not ready: {video}\n{await self._task_errors(video['id'])}")
            return
        folder = self._site.media_root / "hls" / str(video["id"])
        try:
            await asyncio.to_thread(_check_published, folder, self._binaries, sample)
        except Exception as error:  # of any kind that an invalid file raises
            self._report.report_violation(f"{what} is published wrong: {type(error).__name__} {error}")

    async def _task_errors(self, video_id: int) -> str:
        jobs = (await self._get("/api/admin/jobs/"))["jobs"]
        return "\n".join(
            f"  {task['id']} {task['state']} {task['attempts']} {task['error']} {task.get('last_words')}"
            for job in jobs if job["film"] == video_id for task in job["tasks"] if task["error"]
        )  # fmt: skip

    async def _check_list(self, videos: Sequence[dict[str, Any]]) -> None:
        for _ in range(4):  # by any of the web processes
            listed = {video["id"] for video in await self._get("/api/video/")}
            ready = {video["id"] for video in videos if video["status"] == "ready"}
            self._report.require(listed == ready, f"the list has {listed}, ready are {ready}")

    async def _is_swept(self, videos: Sequence[dict[str, Any]]) -> bool:
        self._unexpected_files = _unexpected_files(self._site.media_root, videos)
        return not self._unexpected_files

    async def _check_person(self, person: Person) -> None:
        for departure in person.deleted_accounts:
            await self._wait_until(
                lambda departure=departure: self._is_deleted_or_whole(departure),
                f"{departure.address} is gone or whole",
            )
        if not person.is_registered:
            return
        if not person.is_active:
            await self._wait_until(person.activate, f"{person.address} gets a mail")
        status, tries = 0, 0
        while status != 200 and person.is_active and tries < 4:
            status, tries = await person.log_in(), tries + 1
        self._report.require(status == 200, f"{person.address} cannot sign in: {status}")
        self._report.count("accounts that sign in")
        for session in person.sessions:
            await self._check_session(person, session)
        await self._check_own_list(person)

    async def _is_deleted_or_whole(self, account: DeletedAccount) -> bool:
        """Return whether an account is gone completely, or intact if its owner got no confirmation."""
        body = {"email": account.address, "password": account.password}
        entry = await self._client.request("POST", "/api/login/", body)
        users = await self._client.request(
            "GET", f"/api/admin/users/?search={account.address}", token=self._admin.token
        )
        if users.status != 200:
            return False
        is_gone = account.address.encode() not in users.body
        if account.is_confirmed or entry.status != 200:
            for session in account.sessions:
                me = await self._client.request("GET", "/api/me/", token=session.access)
                self._report.require(me.status == 401, f"{account.address}: a session answers {me.status}")
            return is_gone
        return True

    async def _check_session(self, person: Person, session: Session) -> None:
        me = await self._client.request("GET", "/api/me/", token=session.access)
        again = await self._client.request(
            "POST", "/api/token/refresh/", b"", cookie=f"refresh_token={session.refresh}"
        )
        found = (me.status, again.status)
        if session.is_ended:
            self._report.require(found == (401, 401), f"{person.address}: an ended session answers {found}")
        elif session.is_ended is False and session.tried_at is None:
            self._report.require(found == (200, 200), f"{person.address}: a living session answers {found}")
        self._report.count(
            f"sessions {'ended' if session.is_ended else 'living' if session.is_ended is False else 'unknown'}"
        )

    async def _check_own_list(self, person: Person) -> None:
        answer = await self._client.request("GET", "/api/me/list/", token=person.sessions[-1].access)
        on_list = {video["id"] for video in answer.json} if answer.status == 200 else set()
        existing = {video.id for video in self._report.existing_videos()}
        playable = {video["id"] for video in await self._get("/api/video/")}
        for video_id, is_expected in person.expected_list.items():
            if is_expected is not None and video_id in existing & playable:
                self._report.require(
                    (video_id in on_list) == is_expected,
                    f"{person.address}: video {video_id} on the list: {is_expected}",
                )

    def _check_resources(self) -> None:
        """Check that no web process keeps files open that nobody asks for, or memory that strangers filled."""
        for process in self._site.processes_of_kind("web"):
            files = [file.path for file in process.open_files() if file.path.startswith(str(self._site.media_root))]
            self._report.require(not files, f"a web process keeps {len(files)} media files open: {files[:3]}")
            descriptors = process.num_fds()
            self._report.require(descriptors < _MAX_IDLE_DESCRIPTORS, f"a web process has {descriptors} descriptors")
            rss_mib = process.memory_info().rss // 1024**2
            self._report.log_event(f"web process {process.pid}: {descriptors} descriptors, {rss_mib} MiB")
            self._report.require(rss_mib < _MAX_WEB_MIB, f"a web process takes {rss_mib} MiB")

    def _check_logs(self) -> None:
        """Report bugs that are visible in the logs only."""
        lines = self._site.output().splitlines()
        for line in lines:
            if any(marker in line for marker in _BUG_MARKERS):
                self._report.report_violation(f"the log says: {line[:400]}")


def _check_published(folder: Path, binaries: FfmpegBinaries, sample: SampleFile) -> None:
    hls_checks.check(folder, binaries)
    for playlist in m3u8.load(str(folder / "master.m3u8")).playlists:
        length = sum(piece.duration for piece in m3u8.load(str(folder / playlist.uri)).segments)
        assert abs(length - sample.duration_s) < 0.2, f"{length} s instead of {sample.duration_s}"


def _unexpected_files(media_root: Path, videos: Sequence[dict[str, Any]]) -> list[str]:
    """Return files that should not exist, and names of missing ones."""
    ids = {str(video["id"]) for video in videos}
    ready = {str(video["id"]) for video in videos if video["status"] == "ready"}
    found = [
        str(path.relative_to(media_root)) for path in (media_root / "scratch").rglob("*") if path.name != "uploads"
    ]
    for folder, wanted in (("videos", ids), ("hls", ready), ("thumbnails", ready)):
        names = {path.name.partition(".")[0] for path in _list_dir(media_root / folder)}
        found += [f"{folder}/{name} too many" for name in names - wanted]
        found += [f"{folder}/{name} missing" for name in wanted - names]
    return found + [path.name for path in _list_dir(media_root) if path.name not in _MEDIA_ENTRIES]


def _list_dir(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []
