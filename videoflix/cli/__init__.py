"""The command `videoflix`."""

from __future__ import annotations

import io
import logging
import sys
from typing import Annotated

import typer
from pymongo.errors import ConnectionFailure, PyMongoError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from videoflix import __version__, logs
from videoflix.cli import films, people, serving, up
from videoflix.errors import CommandError, FieldErrors, ServiceError

_log = logging.getLogger(__name__)

app = typer.Typer(
    help="Videoflix: a self-hosted video streaming backend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("web")(serving.web)
app.command("worker")(serving.worker)
app.command("createsuperuser")(people.createsuperuser)
app.command("import")(films.import_film)
app.command("jobs")(films.jobs)


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
    except (ConnectionFailure, RedisConnectionError, RedisTimeoutError) as error:
        _log.debug("lost a server: %s", error)
        sys.exit("videoflix: The database or Redis stopped answering. What was done so far is kept.")
    except (PyMongoError, RedisError) as error:
        sys.exit(f"videoflix: The database or Redis refused what was asked: {str(error)[:300]}")
    except KeyboardInterrupt:
        sys.exit(130)
