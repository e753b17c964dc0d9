"""Logging: one line for each event, for people at a terminal and as JSON for machines."""

from __future__ import annotations

import logging
import sys

import structlog

_OWN_LOGGERS = ("videoflix", "handlers", "transcode")


def show_errors_only() -> None:
    """For commands that end by themselves: what goes wrong is said in their own sentence, once."""
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def configure(process_name: str, level: str = "INFO") -> None:
    """Send everything that any library logs to stderr, named after this process."""
    is_terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper("%H:%M:%S" if is_terminal else "iso", utc=not is_terminal),
        lambda *given: {"process": process_name, **given[2]},
    ]
    # The renderer's own tracebacks show local variables, and with them passwords and tokens.
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([] if is_terminal else [structlog.processors.format_exc_info]),
            renderer,
        ],
        foreign_pre_chain=shared,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in ("asyncio", "pymongo", "redis"):  # their DEBUG would bury ours
        logging.getLogger(name).setLevel(logging.WARNING)
    # It repeats what was no HTTP as it came in; the access log has a line for each of those.
    logging.getLogger("tornado.general").setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
