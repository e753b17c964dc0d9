"""The settings of a command: the environment, and what a running `up` keeps in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from videoflix.embedded.home import Home
from videoflix.settings import Settings, load_settings

DataDir = Annotated[Path | None, typer.Option(help="Where `up` keeps its data (DATA_DIR, default var).")]


def settings_here(data_dir: Path | None = None, **given: object) -> Settings:
    """Settings whose servers and media folder are, unless set, those of the `up` that runs with this data folder."""
    settings = load_settings(data_dir=data_dir, **given)
    home = Home(settings.data_dir)
    found: dict[str, object] = {}
    if not settings.secret_key.get_secret_value():
        home.prepare()
        found["secret_key"] = SecretStr(home.secret("secret_key", 48))
    if running := home.running():
        for variable in ("mongodb_uri", "redis_url"):
            if not getattr(settings, variable).get_secret_value():
                found[variable] = SecretStr(getattr(running, variable))
        if running.media_root and "media_root" not in settings.model_fields_set:
            found["media_root"] = Path(running.media_root)
    return settings.model_copy(update=found)
