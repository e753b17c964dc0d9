"""The settings of a command: the environment, and what a running `up` keeps in the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from videoflix.embedded.data_dir import DataDir
from videoflix.errors import CommandError
from videoflix.settings import Settings, load_settings

DataDirOption = Annotated[Path | None, typer.Option(help="Where `up` keeps its data (DATA_DIR, default var).")]


def load_command_settings(data_dir: Path | None = None, *, needs_servers: bool = True, **overrides: object) -> Settings:
    """Settings whose servers and media folder are, unless set, those of the `up` that runs with this data folder.

    Raises CommandError when a server that is needed is neither set nor running, before anything is written.
    """
    settings = load_settings(data_dir=data_dir, **overrides)
    home = DataDir(settings.data_dir)
    found: dict[str, object] = {}
    if running := home.find_running():
        for variable in ("mongodb_uri", "redis_url"):
            if not getattr(settings, variable).get_secret_value():
                found[variable] = SecretStr(getattr(running, variable))
        if running.media_root and "media_root" not in settings.model_fields_set:
            found["media_root"] = Path(running.media_root)
    if needs_servers:
        _require_servers(settings, found)
    if not settings.secret_key.get_secret_value():
        home.create()
        found["secret_key"] = SecretStr(home.get_or_create_secret("secret_key", 48))
    return settings.model_copy(update=found)


def _require_servers(settings: Settings, resolved: Mapping[str, object]) -> None:
    for variable in ("mongodb_uri", "redis_url"):
        if variable not in resolved and not getattr(settings, variable).get_secret_value():
            raise CommandError(
                f"{variable.upper()} is not set, and no `videoflix up` runs with the data folder {settings.data_dir}: "
                "start it, or go to the folder that it was started in, or name its data folder with --data-dir."
            )
