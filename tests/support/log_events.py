"""Events in the log, found by their name and fields."""

from __future__ import annotations

import logging
from collections.abc import Iterable


def find_events(records: Iterable[logging.LogRecord], event: str, **fields: object) -> list[logging.LogRecord]:
    """Return the records of this event that have all of these fields, in whatever order."""
    return [record for record in records if _matches(record.getMessage(), event, fields)]


def _matches(message: str, event: str, fields: dict[str, object]) -> bool:
    name, *_ = message.split(" ", 1)
    return name == event and all(f" {key}={value} " in f"{message} " for key, value in fields.items())
