"""People of the tests: they register, read their mail and click on links, as everybody does."""

from __future__ import annotations

import email
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pymongo
from tornado.testing import bind_unused_port

from handlers.routes import make_application
from handlers.server import Server
from tests.tools import Answer, Browser
from videoflix.accounts import links
from videoflix.composition.root import open_services
from videoflix.services import Services
from videoflix.settings import Settings

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"
ADMIN = "admin@videoflix.example"


async def mails(services: Services) -> list[EmailMessage]:
    """Send what is owed; the mails that came, which are then read and gone."""
    while await services.mailer.deliver_one():
        pass
    files = sorted(services.settings.mail_dir.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    found = [read(file) for file in files]
    for file in files:
        file.unlink()
    return found


def a_while_later(services: Services) -> None:
    """Mails that went out did so earlier by the time after which another one is sent."""
    with pymongo.MongoClient[dict[str, Any]](services.settings.mongodb_uri.get_secret_value()) as client:
        collection = client[services.settings.mongodb_db]["links"]
        for link_ in list(collection.find({"sent_at": {"$ne": None}})):
            collection.update_one({"_id": link_["_id"]}, {"$set": {"sent_at": link_["sent_at"] - links._RESEND_AFTER}})


def read(file: Path) -> EmailMessage:
    """A mail of the folder."""
    with file.open("rb") as opened:
        message = email.message_from_binary_file(opened, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def link(message: EmailMessage) -> tuple[str, str]:
    """`uid` and `token` of the link of a mail; both of its parts have the same."""
    found = []
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        found.append(re.findall(r"uid=([\w-]+)(?:&|&amp;)token=([\w-]+)", part.get_content())[0])
    assert found[0] == found[1]
    uid, token = found[0]
    return uid, token


def registration(address: str = ADDRESS, password: str = PASSWORD) -> dict[str, str]:
    return {"email": address, "password": password, "confirmed_password": password}


async def register(browser: Browser, address: str = ADDRESS, password: str = PASSWORD) -> Answer:
    answer = await browser.post("/api/register/", registration(address, password))
    assert answer.status == 201, answer.body
    return answer


async def join(browser: Browser, services: Services, address: str = ADDRESS, password: str = PASSWORD) -> int:
    """Register, activate and sign in; the user's id."""
    user_id = (await register(browser, address, password)).json["user"]["id"]
    (mail,) = await mails(services)
    uid, token = link(mail)
    assert (await browser.get(f"/api/activate/{uid}/{token}/")).status == 200
    await browser.log_in(address, password)
    assert isinstance(user_id, int)
    return user_id


@asynccontextmanager
async def site(settings: Settings, **more: object) -> AsyncIterator[tuple[Browser, Services]]:
    """A site of these settings, and a client of it."""
    async with open_services(settings.model_copy(update=more)) as services:
        listener, port = bind_unused_port()
        server = Server(make_application(services))
        server.add_socket(listener)
        with closing(Browser(port)) as browser:
            yield browser, services
        server.stop()
        await server.close_all_connections()
