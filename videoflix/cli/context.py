"""Settings of a command: from the environment, and from a running `up` by way of its data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from videoflix.embedded.data_dir import DataDir
from videoflix.errors import CommandError
from videoflix.settings import Settings, load_settings

DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder in which `up` keeps its data (DATA_DIR, default var).")
]


def load_command_settings(data_dir: Path | None = None, *, needs_servers: bool = True, **overrides: object) -> Settings:
    """Return settings in which servers and media folder default to those of the `up` that uses this data folder.

    Raises CommandError, before anything is written, if a server is needed but neither configured nor running.
    """
    settings = load_settings(data_dir=data_dir, **overrides)
    data_folder = DataDir(settings.data_dir)
    resolved: dict[str, object] = {}
    if running := data_folder.find_running():
        for variable in ("mongodb_uri", "redis_url"):
            if not getattr(settings, variable).get_secret_value():
                resolved[variable] = SecretStr(getattr(running, variable))
        if running.media_root and "media_root" not in settings.model_fields_set:
            resolved["media_root"] = Path(running.media_root)
    if needs_servers:
        _require_servers(settings, resolved)
    if not settings.secret_key.get_secret_value():
        data_folder.create()
        resolved["secret_key"] = SecretStr(data_folder.get_or_create_secret("secret_key", 48))
    return settings.model_copy(update=resolved)


def _require_servers(settings: Settings, resolved: Mapping[str, object]) -> None:
    for variable in ("mongodb_uri", "redis_url"):
        if variable not in resolved and not getattr(settings, variable).get_secret_value():
            raise CommandError(
                f"{variable.upper()} is not set, and no `videoflix up` is running with the data folder "
                f"{settings.data_dir}: start it, change to the folder it was started in, or pass --data-dir."
            )
