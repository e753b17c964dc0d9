"""The engine as the service sees it: its troubles become the answers that clients get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from transcode.engine import Engine, SegmentFailed
from transcode.ledger import Ledger, LedgerUnavailable
from transcode.waiter_limit import TooManyWaiters
from videoflix.errors import Unavailable
from videoflix.ports import EncodingProgress

_RETRY_AFTER_OUTAGE_S = 5  # seconds until a Redis that went away may be back
_RETRY_AFTER_FAILURE_S = 10  # seconds until a segment that could not be made is tried again


class ServiceEngine:
    """`videoflix.ports.Engine` over `transcode.engine.Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def start(self, video_id: int) -> None:
        """Also while Redis is away: workers find every unfinished film."""
        await self._engine.start(video_id)

    async def cancel(self, video_id: int) -> None:
        """Also while Redis is away: workers stop what the catalogue has no work for."""
        await self._engine.cancel(video_id)

    async def delete(self, video_id: int, source: str) -> None:
        """Also while Redis is away: workers sweep what is left."""
        await self._engine.delete(video_id, source)

    async def forget(self, video_id: int) -> None:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            await self._engine.forget(video_id)

    async def jobs(self) -> Sequence[Mapping[str, object]]:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            return await self._engine.jobs()

    async def progress(self, video_ids: Sequence[int]) -> Mapping[int, EncodingProgress]:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            found = await self._engine.progress(video_ids)
        return {film: EncodingProgress(job.percent, job.seconds_left, job.waits_for) for film, job in found.items()}

    async def job_states(self) -> Mapping[str, int]:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            return await self._engine.job_states()

    async def task_states(self) -> Mapping[str, int]:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            return await self._engine.task_states()

    @property
    def waiters(self) -> int:
        """In this process."""
        return self._engine.waiters

    async def request_segment(
        self, video_id: int, rendition: str, number: int, user_id: int, elapsed_s: float = 0
    ) -> None:
        """Raises Unavailable: too many wait, of all or of this user, this one waited too long, or the segment cannot be
        made now.
        """
        with _translate_errors():
            await self._engine.request_segment(video_id, rendition, number, user_id, elapsed_s)

    def on_video_changed(self, callback: Callable[[int], None]) -> None:
        """The callback must be quick."""
        self._engine.on_video_changed(callback)

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """The callback must be quick."""
        self._engine.on_missed_changes(callback)

    async def publish_video_changed(self, video_id: int) -> None:
        """Raises Unavailable while Redis is away."""
        with _translate_errors():
            await self._engine.publish_video_changed(video_id)


@asynccontextmanager
async def open_engine(ledger: Ledger, media_root: Path) -> AsyncIterator[ServiceEngine]:
    """The engine for as long as the block lasts."""
    engine = Engine(ledger, media_root)
    try:
        yield ServiceEngine(engine)
    finally:
        await engine.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except TooManyWaiters as busy:
        raise Unavailable("This part of the film is not ready yet.", busy.retry_after) from None
    except SegmentFailed:
        raise Unavailable("This part of the film cannot be made at the moment.", _RETRY_AFTER_FAILURE_S) from None
    except LedgerUnavailable:
        raise Unavailable("The service is not available at the moment.", _RETRY_AFTER_OUTAGE_S) from None
