"""Users in tests: they register, read their mails and follow the links in them."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pymongo

from tests.support.http_client import HttpClient, HttpResponse
from videoflix.auth import one_time_tokens
from videoflix.bootstrap.services import open_application
from videoflix.services import Services

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"
ADMIN_ADDRESS = "admin@videoflix.example"


async def run_mailer(services: Services) -> int:
    """Send every mail that is due, from a second web process of the site; return the number of attempts."""
    attempts = 0
    async with open_application(services.settings) as (_, jobs):
        while await jobs.mailer.deliver_one():
            attempts += 1
    return attempts


async def deliver_mails(services: Services) -> list[EmailMessage]:
    """Send every queued mail; return those that arrived and remove them from the mail folder."""
    await run_mailer(services)
    files = sorted(services.settings.mail_dir.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    mails = [read_mail(file) for file in files]
    for file in files:
        file.unlink()
    return mails


def age_sent_mails(services: Services) -> None:
    """Date every sent mail back by the time after which another one is sent."""
    settings = services.settings
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as mongo:
        collection = mongo[settings.mongodb_db]["links"]
        for token in list(collection.find({"sent_at": {"$ne": None}})):
            collection.update_one(
                {"_id": token["_id"]}, {"$set": {"sent_at": token["sent_at"] - one_time_tokens._RESEND_AFTER}}
            )


def read_mail(file: Path) -> EmailMessage:
    """Return the mail in a file of the mail folder."""
    with file.open("rb") as opened:
        message = email.message_from_binary_file(opened, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def link_parameters(message: EmailMessage) -> tuple[str, str]:
    """Return `uid` and `token` of the link in a mail, which both of its parts must share."""
    links = []
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        links.append(re.findall(r"uid=([\w-]+)(?:&|&amp;)token=([\w-]+)", part.get_content())[0])
    assert links[0] == links[1]
    uid, token = links[0]
    return uid, token


def registration_body(address: str = ADDRESS, password: str = PASSWORD) -> dict[str, str]:
    """Return the body of a registration."""
    return {"email": address, "password": password, "confirmed_password": password}


async def register(client: HttpClient, address: str = ADDRESS, password: str = PASSWORD) -> HttpResponse:
    """Register an account; return the response."""
    answer = await client.post("/api/register/", registration_body(address, password))
    assert answer.status == 201, answer.body
    return answer


async def sign_up(client: HttpClient, services: Services, address: str = ADDRESS, password: str = PASSWORD) -> int:
    """Register, activate and log in; return the user's id."""
    user_id = (await register(client, address, password)).json["user"]["id"]
    (mail,) = await deliver_mails(services)
    uid, token = link_parameters(mail)
    assert (await client.get(f"/api/activate/{uid}/{token}/")).status == 200
    await client.log_in(address, password)
    assert isinstance(user_id, int)
    return user_id
