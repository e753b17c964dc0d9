"""What a first start makes: an admin who can sign in, and a film to watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from videoflix.cli.people import require_password
from videoflix.composition.root import open_services
from videoflix.embedded import binaries, demo
from videoflix.embedded.home import Home
from videoflix.settings import Settings

_EMAIL = "admin@videoflix.example"
_PASSWORD = "admin_password"  # noqa: S105  # the name of the file that keeps it


@dataclass(frozen=True, slots=True)
class SignIn:
    """How the admin signs in; no password when it is not ours to know."""

    email: str
    password: str | None


async def admin(settings: Settings, home: Home) -> SignIn:
    """The admin that the settings name; else one that is made at the first start with a password that is kept.

    Raises CommandError for a password that is not taken.
    """
    async with open_services(settings) as services:
        email, password = settings.admin_email or _EMAIL, settings.admin_password.get_secret_value()
        if password:
            require_password(password, email, "ADMIN_PASSWORD")
            await services.accounts.make_admin(email, password)
            return SignIn(email, None)
        password = home.secret(_PASSWORD, 12)
        if not await services.accounts.has_admin():
            await services.accounts.make_admin(email, password)
        return SignIn(email, password if await services.accounts.opens(email, password) else None)


async def film(settings: Settings, is_stopping: Callable[[], bool]) -> None:
    """Make and take in the demo film, when no film was ever put in. Raises CommandError and ServiceError."""
    async with open_services(settings) as services:
        if await services.catalogue.was_used():
            return
        place = services.uploads.place(0)
        ffmpeg, _ = binaries.ffmpeg_tools()
        await asyncio.to_thread(demo.make, ffmpeg, place, is_stopping=is_stopping)
        await services.catalogue.take_in(demo.DESCRIPTION, place, ".mp4")
