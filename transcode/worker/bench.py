"""What all attempts of a worker share, and how they wait for a server that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from transcode.book import BookAway, FilmBook
from transcode.ledger import Ledger, LedgerUnavailable
from transcode.times import Times
from transcode.tools import Tools
from transcode.waiting import wait_for_event
from transcode.worker.pool import Hands
from transcode.worker.room import Room

log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY = (LedgerUnavailable, BookAway)


class Left(Exception):
    """The worker leaves while something is still out of reach; the lease will expire by itself."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One per worker."""

    ledger: Ledger
    book: FilmBook
    hands: Hands
    tools: Tools
    root: Path  # the media folder
    room: Room
    leaving: asyncio.Event
    upset: Callable[[], None]  # something is not as the ledger had it: look soon

    @property
    def times(self) -> Times:
        """The time constants."""
        return self.ledger.times

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a repeatable call with growing pauses while the ledger or the catalogue is away; logs once.

        Raises Left when the worker is to leave before there is an answer.
        """
        pause, told = self.times.away_first, False
        while True:
            try:
                return await call()
            except AWAY as error:
                if self.leaving.is_set():
                    raise Left from error
                if not told:
                    log.warning("%s: %s; trying again until it is back", _event(error), error)
                told = True
            await wait_for_event(self.leaving, pause)
            pause = min(2 * pause, self.times.away_most)


def _event(error: Exception) -> str:
    return "book_away" if isinstance(error, BookAway) else "ledger_away"
