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

_COMMANDS = {
    "up": ("videoflix.cli.up", "up"),
    "web": ("videoflix.cli.processes", "web"),
    "worker": ("videoflix.cli.processes", "worker"),
    "createsuperuser": ("videoflix.cli.create_superuser", "createsuperuser"),
    "import": ("videoflix.cli.videos", "import_video"),
    "jobs": ("videoflix.cli.videos", "jobs"),
    "copy-database": ("videoflix.cli.copy_database", "copy_database"),
}


class _LazyCommandGroup(TyperGroup):
    """A command and all that it works with are imported when it is called: everything takes a second to import."""

    def list_commands(self, _: object) -> list[str]:
        """Their names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, _: object, cmd_name: str) -> Any:
        """None for a name that no command has."""
        if cmd_name not in _COMMANDS:
            return None
        module, function = _COMMANDS[cmd_name]
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=_LazyCommandGroup,
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
    logs.show_errors_only()
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
        if said := _describe_server_error(error):
            sys.exit(f"videoflix: {said}")
        raise


def _describe_server_error(error: Exception) -> str:
    """What an error of the database or of Redis means; empty for other errors."""
    from pymongo.errors import PyMongoError
    from redis.exceptions import RedisError

    from videoflix.bootstrap.clients import is_server_outage

    if is_server_outage(error):
        _log.debug("lost a server: %s", error)
        return "The database or Redis stopped answering. What was done so far is kept."
    if isinstance(error, PyMongoError | RedisError):
        return f"The database or Redis refused what was asked: {str(error)[:300]}"
    return ""
