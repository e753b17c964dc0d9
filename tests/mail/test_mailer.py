"""videoflix.mail, against real SMTP servers that accept, refuse or hang, and against the folder transport."""

from __future__ import annotations

import asyncio
import email
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pymongo
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from tests.support.users import run_mailer
from videoflix.bootstrap.services import open_application, open_services
from videoflix.embedded.servers import find_free_port
from videoflix.mail import mailer, transport
from videoflix.mail.outbox import MailKind
from videoflix.models import now
from videoflix.services import Services
from videoflix.settings import Settings

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"


class Postman:
    """What the mail server does with a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.was_secure: list[bool] = []
        self.knew: list[bool | None] = []  # who sends it
        self.refuses = ""
        self.hangs = threading.Event()

    async def handle_RCPT(self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        while self.hangs.is_set():
            await asyncio.sleep(0.02)
        message = email.message_from_bytes(envelope.content or b"", policy=default)  # type: ignore[arg-type]
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        assert server.transport is not None
        self.was_secure.append(server.transport.get_extra_info("sslcontext") is not None)
        self.knew.append(session.authenticated)
        return "250 OK"


@contextmanager
def post_office(postman: Postman, port: int, **options: Any) -> Iterator[None]:
    """A mail server on loopback for as long as the block lasts."""
    controller = Controller(postman, "127.0.0.1", port, ready_timeout=20, **options)
    controller.start()
    try:
        yield
    finally:
        postman.hangs.clear()
        controller.stop()


def with_server(settings: Settings, port: int, **more: Any) -> Settings:
    return settings.model_copy(update={"email_host": "127.0.0.1", "email_port": port, "email_use_tls": False, **more})


def make_due(settings: Settings, **fields: object) -> None:
    """What time would do."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["outbox"].update_many({}, {"$set": {"next_at": now(), **fields}})


async def test_a_mail_has_two_parts_and_no_header_of_a_stranger(settings: Settings) -> None:
    postman, port = Postman(), find_free_port()
    with post_office(postman, port):
        async with open_services(with_server(settings, port)) as services:
            await services.accounts.register(ADDRESS, PASSWORD)
            await run_mailer(services)
            assert await services.outbox.list_all() == []
    (mail,) = postman.mails
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert (mail["From"], mail["To"]) == (settings.email_from, ADDRESS)
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Confirm your email", "auto-generated")
    assert mail["Date"] is not None
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        assert "http://127.0.0.1:5500/pages/auth/activate.html?uid=MQ" in part.get_content()


async def test_every_queued_mail_is_sent_once_the_server_accepts_again(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    postman, port = Postman(), find_free_port()
    async with open_application(with_server(settings, port)) as (services, jobs):
        for number in range(3):
            await services.accounts.register(f"viewer{number}@example.org", PASSWORD)
        await run_mailer(services)  # nobody listens
        owed = await services.outbox.list_all()
        assert [mail.attempts for mail in owed] == [1, 1, 1]
        assert all(mail.error and mail.next_at > now() for mail in owed)
        with post_office(postman, port):
            postman.refuses = "450 no room \x1b[31m for viewer@example.org"
            make_due(settings)
            await run_mailer(services)
            assert {mail.attempts for mail in await services.outbox.list_all()} == {2}
            error = (await services.outbox.list_all())[0].error
            assert "<address>" in error
            assert error.isprintable()  # what a server says is shown at terminals
            postman.refuses = ""
            async with jobs.mailer.run_in_background():  # one that arrives hastens the others
                make_due_first(settings)
                await until_empty(services)
    assert {mail["To"] for mail in postman.mails} == {f"viewer{number}@example.org" for number in range(3)}
    assert not any("token=" in record.message or "@example.org" in record.message for record in caplog.records)


def make_due_first(settings: Settings) -> None:
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["outbox"].update_one({}, {"$set": {"next_at": now()}})


async def until_empty(services: Services) -> None:
    async with asyncio.timeout(20):
        while await services.outbox.list_all():
            await asyncio.sleep(0.02)


async def test_a_server_that_hangs_holds_nobody_up_and_loses_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_COMMAND_TIMEOUT_S", 0.5)
    postman, port = Postman(), find_free_port()
    with post_office(postman, port):
        async with open_application(with_server(settings, port)) as (services, jobs), jobs.mailer.run_in_background():
            postman.hangs.set()
            async with asyncio.timeout(10):
                await services.accounts.register(ADDRESS, PASSWORD)
                while not (owed := await services.outbox.list_all())[0].error:
                    await asyncio.sleep(0.02)
            assert "Timeout" in owed[0].error
            postman.hangs.clear()
            make_due(settings)
            await until_empty(services)
    assert ADDRESS in [mail["To"] for mail in postman.mails]


async def test_a_mail_is_given_up_after_a_day_and_can_be_retried(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    postman, port = Postman(), find_free_port()
    async with open_services(with_server(settings, port)) as services:
        await services.accounts.register(ADDRESS, PASSWORD)
        make_due(settings, created_at=now() - timedelta(days=1))
        await run_mailer(services)
        (mail,) = await services.outbox.list_all()
        assert mail.given_up_at is not None
        assert any(record.message.startswith("mail_given_up kind=activation") for record in caplog.records)
        make_due(settings)
        await run_mailer(services)
        assert (await services.outbox.list_all())[0].attempts == 1
        with post_office(postman, port):
            await services.outbox.retry(mail.id)
            await run_mailer(services)
            assert await services.outbox.list_all() == []
    assert len(postman.mails) == 1


async def test_two_processes_send_a_mail_once(settings: Settings) -> None:
    postman, port = Postman(), find_free_port()
    given = with_server(settings, port)
    with post_office(postman, port):
        async with open_services(given) as one, open_services(given) as other:
            for number in range(5):
                await one.accounts.register(f"viewer{number}@example.org", PASSWORD)
            await asyncio.gather(*(run_mailer(services) for services in (one, other, one, other)))
    assert sorted(mail["To"] for mail in postman.mails) == [f"viewer{number}@example.org" for number in range(5)]


async def test_a_mail_that_a_dead_process_held_is_sent_when_its_lease_is_over(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.accounts.register(ADDRESS, PASSWORD)
        assert await services.outbox.claim() is not None  # and then it died
        assert await services.outbox.claim() is None
        make_due(settings, lease_until=now())
        await run_mailer(services)
    assert len(list(settings.mail_dir.glob("*.eml"))) == 1


async def test_the_same_mail_owed_twice_is_one_mail(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.accounts.register(ADDRESS, PASSWORD)
        for _ in range(3):
            await services.outbox.enqueue(MailKind.ACTIVATION, ADDRESS)
        await services.outbox.enqueue(MailKind.RESET, "nobody@example.org")
        await run_mailer(services)
        assert await services.outbox.list_all() == []
    (file,) = settings.mail_dir.glob("*.eml")
    assert file.stat().st_mode & 0o077 == 0


async def test_an_activation_mail_never_reaches_whom_an_admin_disabled(settings: Settings) -> None:
    async with open_services(settings) as services:
        user = await services.accounts.register(ADDRESS, PASSWORD)
        await services.user_admin.update(0, user.id, is_disabled=True)
        await services.accounts.request_password_reset(ADDRESS)
        await run_mailer(services)
        assert await services.outbox.list_all() == []
    assert not settings.mail_dir.exists()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("way", ["STARTTLS", "TLS"])
async def test_mails_go_encrypted_and_never_without(
    settings: Settings, authority: trustme.CA, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    postman, port = Postman(), find_free_port()
    options: dict[str, Any] = {"ssl_context": context} if way == "TLS" else {"tls_context": context}
    if way == "TLS":
        monkeypatch.setattr(transport, "_IMPLICIT_TLS_PORT", port)

    def authenticate(*given: Any) -> AuthResult:
        login = given[-1]
        return AuthResult(success=isinstance(login, LoginPassword) and login.password == b"secret of the server")

    options |= {"authenticator": authenticate, "auth_required": way != "TLS", "auth_require_tls": way != "TLS"}
    given = with_server(
        settings,
        port,
        email_use_tls=True,
        email_host_user="videoflix",
        email_host_password=SecretStr("secret of the server"),
    )
    with post_office(postman, port, **options):
        async with open_services(given) as services:
            await services.accounts.register(ADDRESS, PASSWORD)
            await run_mailer(services)  # this certificate is nobody's
            assert "certificate" in (await services.outbox.list_all())[0].error.lower()
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            make_due(settings)
            await run_mailer(services)
            assert await services.outbox.list_all() == []
    assert (postman.was_secure, postman.knew) == ([True], [True])


async def test_without_encryption_nothing_is_sent_when_it_is_demanded(settings: Settings) -> None:
    postman, port = Postman(), find_free_port()
    with post_office(postman, port):
        async with open_services(with_server(settings, port, email_use_tls=True)) as services:
            await services.accounts.register(ADDRESS, PASSWORD)
            await run_mailer(services)
            assert "STARTTLS" in (await services.outbox.list_all())[0].error
    assert postman.mails == []


async def test_a_mail_that_cannot_be_written_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.mail_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.mail_dir.write_text("a file where the folder should be")
    monkeypatch.setattr(mailer, "_POLL_INTERVAL_S", 0.02)
    async with open_application(settings) as (services, jobs), jobs.mailer.run_in_background():
        await services.accounts.register(ADDRESS, PASSWORD)
        async with asyncio.timeout(10):
            while not (owed := await services.outbox.list_all())[0].error:
                await asyncio.sleep(0.02)
        assert "cannot be written" in owed[0].error
        settings.mail_dir.unlink()
        make_due(settings)
        await until_empty(services)
    assert len(list(settings.mail_dir.glob("*.eml"))) == 1
