"""The command `videoflix`."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Annotated, Any

import structlog
import typer
from typer.core import TyperGroup

from videoflix import __version__, logs
from videoflix.errors import CommandError, FieldErrors, ServiceError

_log = structlog.get_logger(__name__)

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
    """Imports a command only when it is called: importing all of them takes a second."""

    def list_commands(self, _: object) -> list[str]:
        """Return the names of the commands, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, _: object, cmd_name: str) -> Any:
        """Return a command, or None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, function = _COMMANDS[cmd_name]
        command_app = typer.Typer(add_completion=False)
        command_app.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(command_app)


app = typer.Typer(
    cls=_LazyCommandGroup,
    help="Videoflix: a self-hosted video streaming backend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"videoflix {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command. Failures are one sentence on stderr and exit status 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character must not end the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    logs.show_errors_only()
    try:
        app()
    except CommandError as error:
        sys.exit(f"videoflix: {error}")
    except FieldErrors as error:
        sys.exit("videoflix: " + " ".join(f"{name}: {' '.join(messages)}" for name, messages in error.fields.items()))
    except ServiceError as error:
        sys.exit(f"videoflix: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if message := _describe_server_error(error):
            sys.exit(f"videoflix: {message}")
        raise


def _describe_server_error(error: Exception) -> str:
    """Return a sentence about an error of the database or of Redis; an empty string for any other error."""
    from pymongo.errors import PyMongoError
    from redis.exceptions import RedisError

    from videoflix.bootstrap.clients import is_server_outage

    if is_server_outage(error):
        _log.debug("server_lost", error=str(error))
        return "The database or Redis stopped responding. Completed steps are kept."
    if isinstance(error, PyMongoError | RedisError):
        return f"The database or Redis refused a command: {str(error)[:300]}"
    return ""
