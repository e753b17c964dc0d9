"""The settings of a command: the environment, and what a running `up` keeps in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videoflix.embedded.home import Home
from videoflix.settings import Settings, load_settings

DataDir = Annotated[Path | None, typer.Option(help="Where `up` keeps its data (DATA_DIR, default var).")]


def settings_here(data_dir: Path | None = None, **given: object) -> Settings:
    """Settings whose servers are, unless set, those of the `up` that runs with this data folder."""
    settings = load_settings(data_dir=data_dir, **given)
    home = Home(settings.data_dir)
    running = home.running()
    if running is None:
        return settings
    found = {
        "mongodb_uri": settings.mongodb_uri.get_secret_value() or running.mongodb_uri,
        "redis_url": settings.redis_url.get_secret_value() or running.redis_url,
        "secret_key": settings.secret_key.get_secret_value() or home.secret("secret_key", 48),
    }
    return load_settings(data_dir=data_dir, **given, **found)
