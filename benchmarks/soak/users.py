"""Actors with accounts. Each performs one action after another and records the responses."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from random import Random

from benchmarks.soak.client import CheckedClient
from benchmarks.soak.record import SoakReport
from tests.support.http_client import HttpResponse
from tests.support.users import link_parameters, read_mail, registration_body
from transcode.aio import wait_for_event

_REFRESH_GRACE_S = 30.0  # in which the previous refresh token is still accepted once
_UNKNOWN_OUTCOMES = (0, 503)  # statuses after which the outcome is unknown


class Mailbox:
    """The mails in MAIL_DIR."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_files: set[str] = set()
        self._links: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)

    def links(self, address: str, subject: str) -> list[tuple[str, str]]:
        """Return `uid` and `token` of the links in all mails of a subject to an address, oldest first."""
        files = [file for file in self._folder.glob("*.eml") if file.name not in self._read_files]
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns):
            self._read_files.add(file.name)
            message = read_mail(file)
            if "changed" not in str(message["Subject"]):
                self._links[message["To"], message["Subject"]].append(link_parameters(message))
        return self._links[address, subject]


@dataclass
class Session:
    """A session. `is_ended` is None if unknown; `tried_at` is the start of a token refresh that got no response."""

    access: str
    refresh: str
    is_ended: bool | None = False
    tried_at: float | None = None


@dataclass
class DeletedAccount:
    """An account whose deletion was confirmed, or only requested if there was no response."""

    address: str
    password: str
    sessions: list[Session]
    is_confirmed: bool


@dataclass
class Person:
    """A user who registers, signs in and out, changes passwords and deletes the account."""

    address: str
    client: CheckedClient
    mailbox: Mailbox
    report: SoakReport
    random: Random
    passwords: list[str] = field(default_factory=list)  # more than one if it is unknown which is valid
    is_registered: bool | None = False
    is_active: bool = False
    sessions: list[Session] = field(default_factory=list)
    used_tokens: set[str] = field(default_factory=set)
    uncertain_passwords: dict[str, list[Session]] = field(default_factory=dict)  # by passwords that may be valid
    expected_list: dict[int, bool | None] = field(default_factory=dict)
    deleted_accounts: list[DeletedAccount] = field(default_factory=list)
    account_number: int = 0

    async def run(self, stop_event: asyncio.Event) -> None:
        """Perform actions until the event is set."""
        while not stop_event.is_set():
            await self._choose_action()()
            await wait_for_event(stop_event, self.random.uniform(0.2, 2))

    def _choose_action(self) -> Callable[[], Awaitable[object]]:
        if self.is_registered is False:
            return self.register
        if not self.is_active:
            return self.activate
        if not self._live_sessions():
            return self.log_in
        moves = [
            self.log_in,
            self.refresh,
            self.refresh,
            self.log_out,
            self.check_session,
            self.check_session,
            self.toggle_list_entry,
        ]
        if self.random.random() < 0.3:
            moves.append(self.change_password)
        if self.random.random() < 0.02:
            moves = [self.delete_account]
        return self.random.choice(moves)

    def _live_sessions(self) -> list[Session]:
        return [session for session in self.sessions if session.is_ended is False]

    async def _request(
        self, method: str, path: str, body: object = None, *, token: str = "", cookie: str = ""
    ) -> HttpResponse:
        answer = await self.client.request(
            method, path, body if body is not None or method == "GET" else b"", token=token, cookie=cookie
        )
        self.report.count(f"account calls answered {answer.status}")
        return answer

    def _require(self, condition: object, description: str, response: HttpResponse) -> None:
        self.report.require(condition, f"{self.address}: {description}: {response.status} {response.body[:200]!r}")

    async def register(self) -> None:
        """Register, and repeat it until the account is known to exist."""
        self.passwords = self.passwords or [self._new_password()]
        answer = await self._request("POST", "/api/register/", registration_body(self.address, self.passwords[0]))
        if answer.status == 201:
            self.is_registered = True
        elif answer.status == 400:
            self._require(self.report.counts[f"tried {self.address}"], "register", answer)
            self.is_registered = True  # an earlier request succeeded without a response
        self.report.count(f"tried {self.address}")

    async def activate(self) -> bool:
        """Activate the account with the link in the last mail. Return False if there is no mail."""
        links = self.mailbox.links(self.address, "Confirm your email")
        if not links:
            await asyncio.sleep(0.5)
            return False
        uid, token = self.random.choice(links)
        answer = await self._request("GET", f"/api/activate/{uid}/{token}/")
        self._require(answer.status in (200, *_UNKNOWN_OUTCOMES), "activate", answer)
        self.is_active = answer.status == 200
        return self.is_active

    async def log_in(self) -> int:
        """Sign in and return the status."""
        password = self.random.choice(self.passwords)
        answer = await self._request("POST", "/api/login/", {"email": self.address, "password": password})
        self._require(answer.status in (200, *_UNKNOWN_OUTCOMES) or len(self.passwords) > 1, "login", answer)
        if answer.status == 200:
            self.passwords = [password]
            for session in self.uncertain_passwords.pop(password, []):  # sign-in proves that the password was changed
                session.is_ended = True
            self.sessions.append(session_of(answer))
        elif answer.status == 400 and len(self.passwords) > 1:
            self.passwords.remove(password)
        return answer.status

    async def refresh(self) -> None:
        """Refresh the tokens of a session. Repeat the request with the same token if there was no response."""
        if not (living := self._live_sessions()):
            return
        session = self.random.choice(living)
        asked = time.monotonic()
        answer = await self._request("POST", "/api/token/refresh/", cookie=f"refresh_token={session.refresh}")
        if answer.status == 200:
            following = session_of(answer)
            session.access, session.refresh, session.tried_at = following.access, following.refresh, None
        elif answer.status in _UNKNOWN_OUTCOMES:
            session.tried_at = session.tried_at or asked
        else:
            late = session.tried_at is not None and time.monotonic() - session.tried_at > _REFRESH_GRACE_S - 2
            self._require(late and answer.status == 401, "refresh", answer)
            session.is_ended = None

    async def log_out(self) -> None:
        """Sign out. After a response, no token of the session may be accepted."""
        session = self.random.choice(self._live_sessions())
        session.is_ended = None
        answer = await self._request("POST", "/api/logout/", cookie=f"refresh_token={session.refresh}")
        self._require(answer.status in (200, *_UNKNOWN_OUTCOMES), "logout", answer)
        if answer.status == 200:
            session.is_ended = True

    async def check_session(self) -> None:
        """Check that a session is accepted if it is live, and refused if it has ended."""
        session = self.random.choice(self.sessions)
        ended = session.is_ended  # as of before the request
        answer = await self._request("GET", "/api/me/", token=session.access)
        if ended:
            self._require(answer.status in (401, *_UNKNOWN_OUTCOMES), "a session that was ended opens", answer)
        elif ended is False and session.is_ended is False and session.tried_at is None:
            self._require(answer.status in (200, *_UNKNOWN_OUTCOMES), "a session that lives opens nothing", answer)

    async def toggle_list_entry(self) -> None:
        """Add a video to the list, or remove it."""
        there, living = self.report.existing_videos(), self._live_sessions()
        if not there or not living:
            return
        video_id, is_expected = self.random.choice(there).id, self.random.random() < 0.7
        self.expected_list[video_id] = None
        method = "PUT" if is_expected else "DELETE"
        answer = await self._request(method, f"/api/me/list/{video_id}/", token=living[0].access)
        if answer.status in (200, 201):
            self.expected_list[video_id] = is_expected

    async def delete_account(self) -> None:
        """Delete the account and continue with another address. The invariants check the deleted account later."""
        session, password = self._live_sessions()[0], self.passwords[0]
        if len(self.passwords) > 1:
            return
        for other in self.sessions:
            other.is_ended = other.is_ended or None
        answer = await self._request("DELETE", "/api/me/", {"password": password}, token=session.access)
        self.report.count(f"accounts deleted {answer.status}")
        self._require(answer.status in (200, *_UNKNOWN_OUTCOMES), "leave", answer)
        self.deleted_accounts.append(DeletedAccount(self.address, password, self.sessions, answer.status == 200))
        self.account_number += 1
        name, _, domain = self.address.partition("@")
        self.address = f"{name.partition('-')[0]}-{self.account_number}@{domain}"
        self.is_registered, self.is_active, self.passwords, self.sessions, self.expected_list = False, False, [], [], {}

    async def change_password(self) -> None:
        """Change the password by a link in a mail. Afterwards, no earlier session may be accepted."""
        answer = await self._request("POST", "/api/password_reset/", {"email": self.address})
        self._require(answer.status in (200, *_UNKNOWN_OUTCOMES), "reset", answer)
        links = [
            found
            for found in self.mailbox.links(self.address, "Reset your password")
            if found[1] not in self.used_tokens
        ]
        if links:
            await self._confirm_password(*links[-1])

    async def _confirm_password(self, uid: str, token: str) -> None:
        """Confirm a new password. Repeat the request if there was no response."""
        self.used_tokens.add(token)
        new = self._new_password()
        old, self.passwords = self.passwords, [*self.passwords, new]
        before = list(self.sessions)
        for session in before:
            session.is_ended = session.is_ended or None
        body = {"new_password": new, "confirm_password": new}
        tries, status = 0, 0
        while status in _UNKNOWN_OUTCOMES and tries < 40:
            answer = await self._request("POST", f"/api/password_confirm/{uid}/{token}/", body)
            tries, status = tries + 1, answer.status
            await asyncio.sleep(min(tries, 3) if status in _UNKNOWN_OUTCOMES else 0)
        self.report.count(f"passwords changed {status}" + (" after trouble" if tries > 1 else ""))
        if status == 200:
            self.passwords = [new]
            for session in before:
                session.is_ended = True
        elif status == 400 and tries == 1:
            self.passwords = old  # the link is not valid: the mail was older, or the password was changed since
            self.report.log_event(f"{self.address}: link refused {answer.body!r}")
        elif status == 400:  # the first response was lost, or the link was never valid: the next sign-in decides
            self.uncertain_passwords[new] = before

    def _new_password(self) -> str:
        return f"correct horse {self.random.getrandbits(40):x}"


def session_of(answer: HttpResponse) -> Session:
    """Return the session in the cookies of a response."""
    cookies: dict[str, str] = {}
    for line in answer.headers.get_list("Set-Cookie"):
        cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
    return Session(cookies["access_token"], cookies["refresh_token"])
