"""The command `videoflix`."""

from __future__ import annotations

import logging
import sys

import typer
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

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


def main() -> None:
    """Run a command; what went wrong is a sentence on stderr and exit code 1."""
    try:
        app()
    except CommandError as error:
        sys.exit(f"videoflix: {error}")
    except FieldErrors as error:
        sys.exit("videoflix: " + " ".join(f"{name}: {' '.join(said)}" for name, said in error.fields.items()))
    except ServiceError as error:
        sys.exit(f"videoflix: {error}")
    except (PyMongoError, RedisError) as error:
        _log.debug("lost a server: %s", error)
        sys.exit("videoflix: The database or Redis stopped answering. What was done so far is kept.")
    except KeyboardInterrupt:
        sys.exit(130)
