"""`videoflix createsuperuser`: create an admin, or promote a user."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from videoflix.accounts.passwords import find_password_problems
from videoflix.bootstrap.services import open_services
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.email_address import normalize_address
from videoflix.errors import CommandError
from videoflix.settings import Settings

Email = Annotated[str | None, typer.Option(help="Email address of the admin (ADMIN_EMAIL).")]
Password = Annotated[
    str | None, typer.Option(help="Password of the admin (ADMIN_PASSWORD); prompted for if not given.")
]


def createsuperuser(email: Email = None, password: Password = None, data_dir: DataDirOption = None) -> None:
    """Create an admin, or make an existing user an admin."""
    settings = load_command_settings(data_dir)
    email = _normalize_address(email or settings.admin_email or typer.prompt("Email"))
    password = password or settings.admin_password.get_secret_value() or _ask_password()
    user_id = asyncio.run(make_admin(settings, email, password))
    typer.echo(f"{email} is now an admin (id {user_id}).")


async def make_admin(settings: Settings, email: str, password: str) -> int:
    """Create or promote an admin and return the user id. Raises CommandError if address or password is not valid."""
    address = _normalize_address(email)
    require_valid_password(password, address, "The password")
    async with open_services(settings) as services:
        return (await services.accounts.make_admin(address, password)).id


def require_valid_password(password: str, email: str, name: str) -> None:
    """Raise CommandError if a password is too weak; `name` is the subject of its sentence."""
    if problems := " ".join(find_password_problems(password, email)):
        raise CommandError(f"{name} is not acceptable: {problems}")


def _normalize_address(email: str) -> str:
    try:
        return normalize_address(email)
    except ValueError:
        raise CommandError("This is not a valid email address.") from None


def _ask_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
