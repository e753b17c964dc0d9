"""`videoflix copy-database`: move from the embedded database to a MongoDB server."""

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
    """Copy the embedded database of `up` into the database of MONGODB_URI."""
    settings = load_command_settings(data_dir, needs_servers=False)
    data_folder = DataDir(settings.data_dir)
    if not settings.mongodb_uri.get_secret_value():
        raise CommandError("MONGODB_URI is not set: set it to the server to copy into.")
    if not (data_folder.path / servers.DATABASE_DIR_NAME).is_dir():
        raise CommandError(f"The data folder {data_folder.path} does not contain a database of `videoflix up`.")
    with (
        data_folder.hold_lock(),  # so that nothing else writes to the database
        processes.run_server(servers.make_database_server(data_folder.path)) as server,
    ):
        source = settings.model_copy(update={"mongodb_uri": SecretStr(server.url)})
        count = asyncio.run(_copy(source, settings))
    typer.echo(f"Copied {count} documents. `videoflix up`, `web` and `worker` use the new database from now on.")


async def _copy(source: Settings, target: Settings) -> int:
    async with open_database(source) as source_database, open_database(target) as target_database:
        return await copy_all_documents(source_database, target_database)
