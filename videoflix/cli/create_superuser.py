"""Accounts from the terminal."""

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

Email = Annotated[str | None, typer.Option(help="Address of the admin (ADMIN_EMAIL).")]
Password = Annotated[str | None, typer.Option(help="Password of the admin (ADMIN_PASSWORD); asked for when absent.")]


def createsuperuser(email: Email = None, password: Password = None, data_dir: DataDirOption = None) -> None:
    """Make an admin, or make an admin of somebody who has an account."""
    settings = load_command_settings(data_dir)
    email = _normalize_address(email or settings.admin_email or typer.prompt("Email"))
    password = password or settings.admin_password.get_secret_value() or _ask_password()
    user_id = asyncio.run(make_admin(settings, email, password))
    typer.echo(f"{email} is an admin now (id {user_id}).")


async def make_admin(settings: Settings, email: str, password: str) -> int:
    """The admin's id. Raises CommandError for what is no address or no password."""
    address = _normalize_address(email)
    require_valid_password(password, address, "The password")
    async with open_services(settings) as services:
        return (await services.accounts.make_admin(address, password)).id


def require_valid_password(password: str, email: str, name: str) -> None:
    """Raises CommandError for one that is not taken."""
    if wrong := " ".join(find_password_problems(password, email)):
        raise CommandError(f"{name} is not taken: {wrong}")


def _normalize_address(email: str) -> str:
    try:
        return normalize_address(email)
    except ValueError:
        raise CommandError("That is not an email address.") from None


def _ask_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
