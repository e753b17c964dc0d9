"""What must hold a while after the last fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import m3u8

from benchmarks.soak.asking import Asker
from benchmarks.soak.films import Kind
from benchmarks.soak.library import Admin
from benchmarks.soak.people import Departure, Person
from benchmarks.soak.record import Record
from benchmarks.soak.site import Site
from tests.support import hls_checks
from transcode.tools import Tools

_PATIENCE = 420.0  # seconds: a mail whose sender was killed is sent again after three minutes
_ROOMS = ("hls", "videos", "thumbnails", "scratch", ".lock")  # of the media folder
_CANCELLED = "The work was cancelled."


class Invariants:
    """Of one site, after its faults."""

    def __init__(self, site: Site, record: Record, admin: Admin, people: Sequence[Person], tools: Tools) -> None:
        self._site = site
        self._record = record
        self._admin = admin
        self._people = people
        self._tools = tools
        self._asker = Asker(site.up.url, record)
        self._strange: Sequence[str] = ()

    async def check(self) -> None:
        """All of them; what does not hold is complained about."""
        await self._eventually(self._answers, "everything answers")
        await self._eventually(self._deleted, "every deletion gets an answer")
        await self._eventually(self._settled, "every film is ready or failed")
        await self._eventually(self._idle, "nothing works any more")
        videos = await self._videos()
        await self._films(videos)
        await self._listed(videos)
        await self._eventually(lambda: self._swept(videos), lambda: f"no file too many or too few: {self._strange}")
        for person in self._people:
            await self._person(person)
        self._said()

    async def _eventually(self, is_so: Callable[[], Awaitable[bool]], what: str | Callable[[], str]) -> None:
        begin = time.monotonic()
        while not await is_so():
            if time.monotonic() - begin > _PATIENCE:
                self._record.complain(f"not in {_PATIENCE:.0f} s: {what if isinstance(what, str) else what()}")
                return
            await asyncio.sleep(0.5)
        self._record.tell(f"{time.monotonic() - begin:.1f} s until {what if isinstance(what, str) else 'swept'}")

    async def _get(self, path: str) -> Any:
        """Now that nothing is broken any more, everything is answered."""
        answer = await self._asker.ask("GET", path, token=self._admin.token)
        self._record.require(answer.status == 200, f"GET {path}: {answer.status} {answer.body!r}")
        return answer.json if answer.status == 200 else []

    async def _videos(self) -> list[dict[str, Any]]:
        return list(await self._get("/api/admin/videos/"))

    async def _answers(self) -> bool:
        answer = await self._asker.ask("GET", "/readyz")
        return answer.status == 200 and len(self._site.of("worker")) == 2

    async def _deleted(self) -> bool:
        for film in self._record.films.values():
            if film.gone is None and await self._admin.delete(film) not in (200, 404):
                return False
        return True

    async def _settled(self) -> bool:
        """What was cancelled gets its second chance."""
        videos = await self._videos()
        for video in videos:
            if video["error"] == _CANCELLED:
                await self._asker.ask("POST", f"/api/admin/videos/{video['id']}/retry/", b"", token=self._admin.token)
        return all(video["status"] != "processing" and video["error"] != _CANCELLED for video in videos)

    async def _idle(self) -> bool:
        jobs = (await self._get("/api/admin/jobs/"))["jobs"]
        return not self._site.of("ffmpeg") and not any(
            job["state"] in ("queued", "running", "retrying") for job in jobs
        )

    async def _films(self, videos: Sequence[dict[str, Any]]) -> None:
        """Those that were promised are there, and no others."""
        known = {video["id"]: video for video in videos}
        for film in self._record.films.values():
            video = known.pop(film.id, None)
            if film.gone:
                self._record.require(video is None, f"film {film.id} was deleted and is there")
            elif video is None:
                self._record.complain(f"film {film.id} ({film.kind.name}) is gone")
            else:
                is_told = film.description in (None, video["description"])
                self._record.require(is_told, f"film {film.id} lost its description {film.description}: {video}")
                await self._film(video, film.kind)
        for title, kind in self._record.imported.items():
            self._record.require(any(video["title"] == title for video in videos), f"an import ({kind.name}) is gone")
        for video in known.values():  # imported; or their uploads, or their commands, got no answer
            if kind := (self._record.imported | self._record.perhaps).get(video["title"]):
                await self._film(video, kind)
            else:
                self._record.complain(f"film {video['id']} came from nowhere: {video}")

    async def _film(self, video: dict[str, Any], kind: Kind) -> None:
        what = f"film {video['id']} ({kind.name})"
        self._record.count(f"films {video['status']}")
        if kind.sentence:
            is_right = video["status"] == "failed" and (video["error"] or "").startswith(kind.sentence)
            self._record.require(is_right, f"{what} should be refused: {video}")
            return
        if video["status"] != "ready":
            self._record.complain(f"{what} is not ready: {video}\n{await self._why(video['id'])}")
            return
        folder = self._site.media / "hls" / str(video["id"])
        try:
            await asyncio.to_thread(_check, folder, self._tools, kind)
        except Exception as error:  # whatever a file that is not as it should be brings about
            self._record.complain(f"{what} is published wrong: {type(error).__name__} {error}")

    async def _why(self, film: int) -> str:
        jobs = (await self._get("/api/admin/jobs/"))["jobs"]
        return "\n".join(
            f"  {task['id']} {task['state']} {task['attempts']} {task['error']} {task.get('last_words')}"
            for job in jobs if job["film"] == film for task in job["tasks"] if task["error"]
        )  # fmt: skip

    async def _listed(self, videos: Sequence[dict[str, Any]]) -> None:
        for _ in range(4):  # whichever process answers
            listed = {video["id"] for video in await self._get("/api/video/")}
            ready = {video["id"] for video in videos if video["status"] == "ready"}
            self._record.require(listed == ready, f"the list has {listed}, ready are {ready}")

    async def _swept(self, videos: Sequence[dict[str, Any]]) -> bool:
        self._strange = _strange(self._site.media, videos)
        return not self._strange

    async def _person(self, person: Person) -> None:
        for departure in person.left:
            await self._eventually(
                lambda departure=departure: self._left(departure), f"{departure.address} is gone or whole"
            )
        if not person.registered:
            return
        if not person.active:
            await self._eventually(person.activate, f"{person.address} gets a mail")
        status, tries = 0, 0
        while status != 200 and person.active and tries < 4:
            status, tries = await person.log_in(), tries + 1
        self._record.require(status == 200, f"{person.address} cannot sign in: {status}")
        self._record.count("accounts that sign in")
        for session in person.sessions:
            await self._session(person, session)
        await self._own_list(person)

    async def _left(self, departure: Departure) -> bool:
        """Nothing is left of it, or all, when its owner was not told."""
        body = {"email": departure.address, "password": departure.password}
        entry = await self._asker.ask("POST", "/api/login/", body)
        users = await self._asker.ask("GET", f"/api/admin/users/?search={departure.address}", token=self._admin.token)
        if users.status != 200:
            return False
        is_gone = departure.address.encode() not in users.body
        if departure.surely or entry.status != 200:
            for session in departure.sessions:
                me = await self._asker.ask("GET", "/api/me/", token=session.access)
                self._record.require(me.status == 401, f"{departure.address}: a session answers {me.status}")
            return is_gone
        return True

    async def _session(self, person: Person, session: Any) -> None:
        me = await self._asker.ask("GET", "/api/me/", token=session.access)
        again = await self._asker.ask("POST", "/api/token/refresh/", b"", cookie=f"refresh_token={session.refresh}")
        found = (me.status, again.status)
        if session.ended:
            self._record.require(found == (401, 401), f"{person.address}: an ended session answers {found}")
        elif session.ended is False and session.tried_at is None:
            self._record.require(found == (200, 200), f"{person.address}: a living session answers {found}")
        self._record.count(
            f"sessions {'ended' if session.ended else 'living' if session.ended is False else 'unknown'}"
        )

    async def _own_list(self, person: Person) -> None:
        answer = await self._asker.ask("GET", "/api/me/list/", token=person.sessions[-1].access)
        on_list = {video["id"] for video in answer.json} if answer.status == 200 else set()
        there = {film.id for film in self._record.there()}
        playable = {video["id"] for video in await self._get("/api/video/")}
        for film, wanted in person.listed.items():
            if wanted is not None and film in there & playable:
                self._record.require(
                    (film in on_list) == wanted, f"{person.address}: film {film} on the list: {wanted}"
                )

    def _said(self) -> None:
        """Bugs that only a log tells of."""
        lines = self._site.text().splitlines()
        for line in lines:
            if any(word in line for word in ("unhandled", "never retrieved", "stumbled", "error of its own")):
                self._record.complain(f"the log says: {line[:400]}")


def _check(folder: Path, tools: Tools, kind: Kind) -> None:
    hls_checks.check(folder, tools)
    for playlist in m3u8.load(str(folder / "master.m3u8")).playlists:
        length = sum(piece.duration for piece in m3u8.load(str(folder / playlist.uri)).segments)
        assert abs(length - kind.seconds) < 0.2, f"{length} s instead of {kind.seconds}"


def _strange(media: Path, videos: Sequence[dict[str, Any]]) -> list[str]:
    """Files that nobody needs, and such as are missing."""
    ids = {str(video["id"]) for video in videos}
    ready = {str(video["id"]) for video in videos if video["status"] == "ready"}
    found = [str(path.relative_to(media)) for path in (media / "scratch").rglob("*") if path.name != "uploads"]
    for folder, wanted in (("videos", ids), ("hls", ready), ("thumbnails", ready)):
        names = {path.name.partition(".")[0] for path in _inside(media / folder)}
        found += [f"{folder}/{name} too many" for name in names - wanted]
        found += [f"{folder}/{name} missing" for name in wanted - names]
    return found + [path.name for path in _inside(media) if path.name not in _ROOMS]


def _inside(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []
