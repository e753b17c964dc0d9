"""Logging: one line for each event, as `key=value` at a terminal and as JSON everywhere else.

Modules log through `structlog.get_logger(__name__)`: an event name and its fields. Events travel through the standard
library's logging, like the records of every other library, so that levels, handlers and pytest's caplog apply to all.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_OWN_LOGGERS = ("videoflix", "handlers", "transcode")
_QUIET_LOGGERS = (
    *("asyncio", "pymongo", "redis"),  # their DEBUG lines would bury ours
    "tornado.general",  # logs malformed requests, for which the access log has a line already
)
_CALLER_STACK_LEVEL = 3  # frames of structlog between the standard library's logger and the caller, plus one


class _Event(dict[str, Any]):
    """The message of a log record: an event and its fields. Its text is `event key=value key=value`."""

    def __str__(self) -> str:
        fields = [f"{key}={value}" for key, value in self.items() if key not in ("event", "exc_info")]
        return " ".join([str(self["event"]), *fields])


def configure_structlog(level: int | str = logging.NOTSET, *, is_final: bool = True) -> None:
    """Send structlog's events of this level and above to the standard library's loggers.

    `is_final=False` leaves the level open: loggers that were used before a later call follow that call.
    """
    structlog.configure(
        processors=[_to_record_arguments],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=logging.getLogger,
        cache_logger_on_first_use=is_final,
    )


def show_errors_only() -> None:
    """Log errors only: for commands that run once and report a failure in a sentence of their own."""
    configure_structlog(logging.ERROR, is_final=False)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def configure(process_name: str, level: str = "INFO") -> None:
    """Write all log records of this process to stderr, with the name of the process in each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_make_formatter(process_name, for_terminal=sys.stderr.isatty()))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    configure_structlog(level)


def _make_formatter(process_name: str, *, for_terminal: bool) -> logging.Formatter:
    """Return a formatter for events of structlog and for records of other libraries alike."""
    stamp = structlog.processors.TimeStamper("%H:%M:%S" if for_terminal else "iso", utc=not for_terminal)

    def add_header(logger: Any, method_name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        record = event["_record"]
        names = {"level": record.levelname.lower(), "process": process_name, "logger": record.name}
        header = {**stamp(logger, method_name, {}), **names}
        return {**header, **event, **header}  # in this order, and no field of an event replaces one of these

    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    # structlog's own tracebacks show local variables, and with them passwords and tokens: both formatters here do not.
    renderers: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, sort_keys=False)]
        if for_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    )
    return structlog.stdlib.ProcessorFormatter(processors=[add_header, remove_meta, *renderers])


def _to_record_arguments(
    logger: Any, method_name: str, event: MutableMapping[str, Any]
) -> tuple[tuple[_Event], dict[str, Any]]:
    """Return the arguments of a `logging.Logger` method: what `ProcessorFormatter` and caplog both understand."""
    return (_Event(event),), {
        "exc_info": event.get("exc_info"),
        "stacklevel": _CALLER_STACK_LEVEL,
        "extra": {"_logger": logger, "_name": method_name},
    }
