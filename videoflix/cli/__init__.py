"""The command `videoflix`."""

from __future__ import annotations

import io
import logging
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from videoflix import __version__, logs
from videoflix.errors import CommandError, FieldErrors, ServiceError

_log = logging.getLogger(__name__)

_PLACES = {
    "up": ("videoflix.cli.up", "up"),
    "web": ("videoflix.cli.serving", "web"),
    "worker": ("videoflix.cli.serving", "worker"),
    "createsuperuser": ("videoflix.cli.people", "createsuperuser"),
    "import": ("videoflix.cli.films", "import_film"),
    "jobs": ("videoflix.cli.films", "jobs"),
    "copy-database": ("videoflix.cli.moving", "copy_database"),
}


class _Commands(TyperGroup):
    """A command and all that it works with are imported when it is called: everything takes a second to import."""

    def list_commands(self, _: object) -> list[str]:
        """Their names, in the order of the help."""
        return list(_PLACES)

    def get_command(self, _: object, cmd_name: str) -> Any:
        """None for a name that no command has."""
        if cmd_name not in _PLACES:
            return None
        module, function = _PLACES[cmd_name]
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=_Commands,
    help="Videoflix: a self-hosted video streaming backend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show which version this is.")] = False,
) -> None:
    if version:
        typer.echo(f"videoflix {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; what went wrong is a sentence on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a letter is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    logs.quiet()
    try:
        app()
    except CommandError as error:
        sys.exit(f"videoflix: {error}")
    except FieldErrors as error:
        sys.exit("videoflix: " + " ".join(f"{name}: {' '.join(said)}" for name, said in error.fields.items()))
    except ServiceError as error:
        sys.exit(f"videoflix: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if said := _of_a_server(error):
            sys.exit(f"videoflix: {said}")
        raise


def _of_a_server(error: Exception) -> str:
    """What an error of the database or of Redis means; empty for other errors."""
    from pymongo.errors import PyMongoError
    from redis.exceptions import RedisError

    from videoflix.composition.clients import is_away

    if is_away(error):
        _log.debug("lost a server: %s", error)
        return "The database or Redis stopped answering. What was done so far is kept."
    if isinstance(error, PyMongoError | RedisError):
        return f"The database or Redis refused what was asked: {str(error)[:300]}"
    return ""
