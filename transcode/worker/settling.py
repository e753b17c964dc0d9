"""How an attempt ends: first the catalogue is told, then the ledger.

Both may be told twice: a crash in between repeats a cheap step, it never loses a finished one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from transcode import losses, schedule
from transcode.book import FilmEntry, Omissions
from transcode.errors import Lost, MediaError, NoRoom, TooLarge
from transcode.ledger import JobView, Lease, LeaseState, State
from transcode.losses import Losses
from transcode.timeline import Timeline
from transcode.worker.bench import Bench

log = logging.getLogger(__name__)


class Settling:
    """Of one lease; one of these calls ends it. Each waits for servers that are away, and raises Left."""

    def __init__(self, bench: Bench, lease: Lease) -> None:
        self._bench = bench
        self._lease = lease

    async def succeeded(self, entry: FilmEntry, result: dict[str, Any]) -> None:
        """Tell what was made, and begin what follows from it."""
        bench, lease = self._bench, self._lease
        if lease.kind == "segment":
            await self._tell_if_lost(entry, result)
        elif await bench.patiently(lambda: bench.ledger.renew(lease, 1.0)) is not LeaseState.RUNNING:
            await self.let_go()
            return
        else:
            await self._tell(entry, result)
        if lease.kind in ("probe", "audio"):  # what the catalogue holds by now decides what is still to be done
            newer: FilmEntry | None = await bench.patiently(lambda: bench.book.entry(lease.film))
            if newer is not None and lease.kind == "probe" and _differ(newer.timeline, result):
                await self.let_go("another probe was first, and its playlists have to be published")
                return
            entry = await asyncio.to_thread(losses.as_found, newer or entry, bench.root)
        follow_ups = await asyncio.to_thread(schedule.after, lease.kind, entry, bench.root)
        weights = schedule.weights(entry) if lease.kind == "probe" else None
        answer = await bench.patiently(lambda: bench.ledger.settle(lease, result, follow_ups, weights))
        if answer is LeaseState.SUCCEEDED:
            log.debug("task_succeeded film=%s task=%s", lease.film, lease.task)
            if lease.kind == "finish":
                bench.upset()  # its scratch can be swept
        else:
            await self.let_go()

    async def failed(self, error: MediaError) -> None:
        """Spend an attempt."""
        bench, lease = self._bench, self._lease
        log.warning(
            "task_failed film=%s task=%s attempt=%s hopeless=%s: %s",
            lease.film, lease.task, lease.attempt, error.hopeless, error.sentence,
        )  # fmt: skip
        hopeless, delay = error.hopeless, self._backoff()
        answer = await bench.patiently(
            lambda: bench.ledger.fail(lease, error.sentence, error.last_words, hopeless=hopeless, delay=delay)
        )
        if answer is LeaseState.DEAD:
            bench.upset()  # the reconciler tells the catalogue, here and after a crash

    async def found_no_room(self, error: NoRoom) -> None:
        """No fault of the film, so no attempt is spent; what is too large keeps no other work waiting."""
        if isinstance(error, TooLarge):
            log.warning("task_too_large film=%s task=%s: %s", self._lease.film, self._lease.task, error.sentence)
            await self.let_go(error.sentence, self._bench.times.backoff_max)
        else:
            self._bench.room.ran_full()
            await self.let_go(error.sentence)

    async def lost_ground(self, error: Lost) -> None:
        """What the task builds on is made again, and then the task, unless the film was deleted."""
        bench, lease = self._bench, self._lease
        entry: FilmEntry | None = await bench.patiently(lambda: bench.book.entry(lease.film))
        if entry is None:
            await self.film_unknown()
            return
        log.warning("ground_lost film=%s task=%s: %s", lease.film, lease.task, error.sentence)
        if lease.kind == "segment":
            await self._wait_for_ground(entry, error)
            return
        first, words = schedule.probe(), error.last_words
        answer = await bench.patiently(lambda: bench.ledger.reopen(lease, first, error.sentence, words))
        if answer is not LeaseState.QUEUED:
            bench.upset()

    async def film_unknown(self) -> None:
        """The film was deleted. A segment fails, or those who wait for it would ask again at once."""
        bench, lease = self._bench, self._lease
        log.info("film_unknown film=%s task=%s", lease.film, lease.task)
        if lease.kind == "segment":
            await self.failed(MediaError("This film was deleted.", hopeless=True))
            return
        await bench.patiently(lambda: bench.ledger.cancel(lease.film))
        await bench.patiently(lambda: bench.ledger.release(lease))

    async def let_go(self, why: str = "", delay: float = 0) -> None:
        """Give the task back, for after `delay` seconds; no attempt is spent."""
        bench, lease = self._bench, self._lease
        answer = await bench.patiently(lambda: bench.ledger.release(lease, delay, why))
        log.info(
            "task_let_go film=%s task=%s state=%s: %s",
            lease.film, lease.task, answer, why or "its lease is not in force",
        )  # fmt: skip
        left = lease.kind == "segment" and answer is LeaseState.CANCELLED  # its viewer did, as viewers do
        if answer not in (LeaseState.QUEUED, LeaseState.RETRYING) and not left:
            bench.upset()  # the film may be gone, or all of Redis

    async def _tell(self, entry: FilmEntry, result: dict[str, Any]) -> None:
        """Write it into the catalogue."""
        bench, lease = self._bench, self._lease
        if lease.kind == "probe":
            await bench.patiently(lambda: bench.book.probed(lease.film, result))
        elif lease.kind == "finish":
            job: JobView | None = await bench.patiently(lambda: bench.ledger.job(lease.film))
            omissions = omissions_of(entry, job) if job else entry.omissions
            await bench.patiently(lambda: bench.book.finished(lease.film, result, omissions))
        else:
            await bench.patiently(lambda: bench.book.task_done(lease.film, lease.kind, lease.index, result))

    async def _tell_if_lost(self, entry: FilmEntry, result: dict[str, Any]) -> None:
        """Nobody is told of a segment, but one that was final and had to be made for a viewer was lost.

        Its chunk makes it again as it was, and what is listed of its bytes is right again.
        """
        chunk = schedule.chunk_of(entry, self._lease.index)
        if chunk in entry.chunks_done and result.get("is_new"):
            log.warning("chunk_lost film=%s chunk=%s: it is made again", entry.film, chunk)
            await self._make_again(entry, Losses(frozenset({chunk})))

    async def _wait_for_ground(self, entry: FilmEntry, error: Lost) -> None:
        """A segment is looked for again and again while somebody waits for it; not where its film was given up.

        Nor without the source: perhaps it is the whole volume that is away, and all that is done would be done again.
        """
        bench = self._bench
        states = await bench.patiently(lambda: bench.ledger.states([entry.film]))
        has_source = await asyncio.to_thread((bench.root / entry.source).exists)
        if entry.failed or not has_source or states.get(entry.film) is State.DEAD:
            await self.failed(error)
            return
        await self._make_again(entry, await asyncio.to_thread(losses.losses, entry, bench.root))
        await self.let_go(error.sentence, bench.times.look)

    async def _make_again(self, entry: FilmEntry, lost: Losses) -> None:
        """By the job that is at work on the film, or by a new one."""
        bench = self._bench
        await bench.patiently(lambda: bench.book.lost(entry.film, lost.chunks, lost.kinds))
        await bench.patiently(lambda: bench.ledger.start(entry.film, [schedule.probe()], schedule.closing()))

    def _backoff(self) -> float:
        times = self._bench.times
        if self._lease.kind == "segment":
            return times.segment_backoff
        pause = min(times.backoff_max, times.backoff * 2.0 ** (self._lease.attempt - 1))
        return pause * (1 + random.random())  # noqa: S311 - spreads retries, hides nothing


def omissions_of(entry: FilmEntry, job: JobView) -> Omissions:
    """Return what a film is published without when its job ends as it is: dead tasks whose work was never done."""
    dead = {task.kind: task.error for task in job.tasks if task.state is State.DEAD and task.kind != "segment"}
    return entry.omissions.updated({kind: dead[kind] for kind in sorted(dead.keys() - entry.done_kinds)}, time.time())


def _differ(known: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    return known is not None and Timeline.from_json(known) != Timeline.from_json(found)
