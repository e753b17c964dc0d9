"""What the first start creates: an admin who can sign in, and a demo video to watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from videoflix.bootstrap.services import open_services
from videoflix.cli.create_superuser import require_valid_password
from videoflix.embedded import binaries, demo
from videoflix.embedded.data_dir import DataDir
from videoflix.settings import Settings

_DEFAULT_ADMIN_EMAIL = "admin@videoflix.example"
_PASSWORD_FILE = "admin_password"  # noqa: S105  # the name of the file that keeps it


@dataclass(frozen=True, slots=True)
class AdminLogin:
    """The admin's login; `password` is None if it is one that Videoflix did not generate."""

    email: str
    password: str | None


async def ensure_admin(settings: Settings, data_dir: DataDir) -> AdminLogin:
    """Create the admin of the settings, or else a default admin with a generated password, kept in the data folder.

    Raises CommandError if ADMIN_PASSWORD is too weak.
    """
    async with open_services(settings) as services:
        email, password = settings.admin_email or _DEFAULT_ADMIN_EMAIL, settings.admin_password.get_secret_value()
        if password:
            require_valid_password(password, email, "ADMIN_PASSWORD")
            await services.accounts.make_admin(email, password)
            return AdminLogin(email, None)
        password = data_dir.get_or_create_secret(_PASSWORD_FILE, 12)
        if not await services.accounts.has_admin():
            await services.accounts.make_admin(email, password)
        return AdminLogin(email, password if await services.accounts.can_log_in(email, password) else None)


async def ensure_demo_video(settings: Settings, is_stopping: Callable[[], bool]) -> None:
    """Create and import the demo video, unless there has ever been a video. Raises CommandError and ServiceError."""
    async with open_services(settings) as services:
        if await services.catalogue.has_ever_had_videos():
            return
        upload_path = services.uploads.allocate_path(0)
        ffmpeg, _ = binaries.find_ffmpeg_binaries()
        await asyncio.to_thread(demo.make_demo_video, ffmpeg, upload_path, is_stopping=is_stopping)
        await services.catalogue.import_upload(demo.DEMO_VIDEO, upload_path, ".mp4")
