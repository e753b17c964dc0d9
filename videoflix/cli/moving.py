"""From the servers that `up` brings along to servers of one's own."""

from __future__ import annotations

import asyncio

import typer
from pydantic import SecretStr

from videoflix.cli.context import DataDir, settings_here
from videoflix.composition.clients import open_database
from videoflix.embedded import processes, servers
from videoflix.embedded.home import Home
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.copying import copy


def copy_database(data_dir: DataDir = None) -> None:
    """Copy what `up` kept in its own database into the one of MONGODB_URI."""
    settings = settings_here(data_dir, needs_servers=False)
    home = Home(settings.data_dir)
    if not settings.mongodb_uri.get_secret_value():
        raise CommandError("MONGODB_URI is not set: it should name the database to copy into.")
    if not (home.folder / servers.DATABASE).is_dir():
        raise CommandError(f"The data folder {home.folder} holds no database of `videoflix up`.")
    with home.locked(), processes.running(servers.database(home.folder)) as server:  # so nobody else writes to it
        source = settings.model_copy(update={"mongodb_uri": SecretStr(server.url)})
        count = asyncio.run(_copy(source, settings))
    typer.echo(f"{count} documents were copied. `videoflix up`, `web` and `worker` use the new database from now on.")


async def _copy(source: Settings, target: Settings) -> int:
    async with open_database(source) as here, open_database(target) as there:
        return await copy(here, there)
