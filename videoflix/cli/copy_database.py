"""From the servers that `up` brings along to servers of one's own."""

from __future__ import annotations

import asyncio

import typer
from pydantic import SecretStr

from videoflix.bootstrap.clients import open_database
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.embedded import processes, servers
from videoflix.embedded.data_dir import DataDir
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.copy import copy_all_documents


def copy_database(data_dir: DataDirOption = None) -> None:
    """Copy what `up` kept in its own database into the one of MONGODB_URI."""
    settings = load_command_settings(data_dir, needs_servers=False)
    home = DataDir(settings.data_dir)
    if not settings.mongodb_uri.get_secret_value():
        raise CommandError("MONGODB_URI is not set: it should name the database to copy into.")
    if not (home.path / servers.DATABASE_DIR_NAME).is_dir():
        raise CommandError(f"The data folder {home.path} holds no database of `videoflix up`.")
    with (
        home.hold_lock(),
        processes.run_server(servers.make_database_server(home.path)) as server,
    ):  # so nobody else writes to it
        source = settings.model_copy(update={"mongodb_uri": SecretStr(server.url)})
        count = asyncio.run(_copy(source, settings))
    typer.echo(f"{count} documents were copied. `videoflix up`, `web` and `worker` use the new database from now on.")


async def _copy(source: Settings, target: Settings) -> int:
    async with open_database(source) as here, open_database(target) as there:
        return await copy_all_documents(here, there)
