"""The engine as the service sees it: its troubles become the answers that clients get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from transcode.engine import Engine, SegmentFailed
from transcode.ledger import Ledger, LedgerUnavailable
from transcode.places import Busy
from videoflix.errors import Unavailable
from videoflix.ports import Work

_SOON = 5  # seconds until a Redis that went away may be back
_FAILED = 10  # seconds until a segment that could not be made is tried again


class ServiceEngine:
    """`videoflix.ports.Engine` over `transcode.engine.Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def start(self, film: int) -> None:
        """Also while Redis is away: workers find every unfinished film."""
        await self._engine.start(film)

    async def cancel(self, film: int) -> None:
        """Also while Redis is away: workers stop what the catalogue has no work for."""
        await self._engine.cancel(film)

    async def delete(self, film: int, source: str) -> None:
        """Also while Redis is away: workers sweep what is left."""
        await self._engine.delete(film, source)

    async def forget(self, film: int) -> None:
        """Raises Unavailable while Redis is away."""
        with _answered():
            await self._engine.forget(film)

    async def jobs(self) -> Sequence[Mapping[str, object]]:
        """Raises Unavailable while Redis is away."""
        with _answered():
            return await self._engine.jobs()

    async def progress(self, films: Sequence[int]) -> Mapping[int, Work]:
        """Raises Unavailable while Redis is away."""
        with _answered():
            found = await self._engine.progress(films)
        return {film: Work(job.percent, job.seconds_left, job.waits_for) for film, job in found.items()}

    async def job_states(self) -> Mapping[str, int]:
        """Raises Unavailable while Redis is away."""
        with _answered():
            return await self._engine.job_states()

    async def task_states(self) -> Mapping[str, int]:
        """Raises Unavailable while Redis is away."""
        with _answered():
            return await self._engine.task_states()

    @property
    def waiters(self) -> int:
        """In this process."""
        return self._engine.waiters

    async def want_segment(self, film: int, rendition: str, number: int, user: int, waited: float = 0) -> None:
        """Raises Unavailable: too many wait, of all or of this user, this one waited too long, or the segment cannot be
        made now.
        """
        with _answered():
            await self._engine.want_segment(film, rendition, number, user, waited)

    def on_film_changed(self, callback: Callable[[int], None]) -> None:
        """The callback must be quick."""
        self._engine.on_film_changed(callback)

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """The callback must be quick."""
        self._engine.on_missed_changes(callback)

    async def film_changed(self, film: int) -> None:
        """Raises Unavailable while Redis is away."""
        with _answered():
            await self._engine.publish_film_changed(film)


@asynccontextmanager
async def open_engine(ledger: Ledger, media_root: Path) -> AsyncIterator[ServiceEngine]:
    """The engine for as long as the block lasts."""
    engine = Engine(ledger, media_root)
    try:
        yield ServiceEngine(engine)
    finally:
        await engine.close()


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except Busy as busy:
        raise Unavailable("This part of the film is not ready yet.", busy.retry_after) from None
    except SegmentFailed:
        raise Unavailable("This part of the film cannot be made at the moment.", _FAILED) from None
    except LedgerUnavailable:
        raise Unavailable("The service is not available at the moment.", _SOON) from None
