"""The ledger: who works on what, in Redis. Every move is one script, and every call may be repeated.

Any method raises `LedgerUnavailable` while Redis cannot be reached or cannot write.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from transcode.ledger.looking import Looking
from transcode.ledger.notices import Notices
from transcode.ledger.records import Lane, Lease, LeaseState, NewTask, Reaped


class Ledger(Looking):
    """Jobs and tasks of all films. The client stays its owner's to close."""

    def notices(self) -> Notices:
        """A subscription of its own; one per process is enough."""
        return Notices(self._client, self._prefix, self._times)

    # Jobs ---------------------------------------------------------------------------------------------------

    async def start(
        self,
        film: int,
        tasks: Sequence[NewTask],
        last: NewTask | Sequence[NewTask],
        *,
        total: float = 0,
        base: float = 0,
    ) -> tuple[str, bool]:
        """Open a film's job unless a live one is there; a finished one is replaced.

        `last` runs when all else is done; several run one after another. `total` and `base` are weights: all there is,
        and what is done already.
        Returns the job's id and whether it is new.
        """
        rows = [task.as_json() for task in tasks]
        closing = [task.as_json() for task in ([last] if isinstance(last, NewTask) else last)]
        job, new = await self._run("start", film=str(film), tasks=rows, last=closing, total=total, base=base)
        return job, bool(new)

    async def cancel(self, film: int) -> int:
        """Cancel a film's job and interactive segments. Returns how many workers have not let go yet."""
        return int(await self._run("cancel", film=str(film), keep_ms=self._ms(self._times.dead_segment)))

    async def forget(self, film: int) -> None:
        """Remove all that is known of a film's work; leases that are out turn void."""
        await self._run("forget", film=str(film))

    async def raise_priority(self, film: int, task: str) -> bool:
        """Put a task before all others, also one that is yet to be enqueued. False when it is too late."""
        return bool(await self._run("raise", film=str(film), task=task))

    async def held(self, film: int) -> int:
        """How many workers hold a lease of the film, those included that are stopping cancelled work."""
        return int(await self._run("held", film=str(film)))

    # Work ---------------------------------------------------------------------------------------------------

    async def claim(self, lanes: Sequence[Lane], worker: str, token: str | None = None) -> Lease | float | None:
        """Take the first task of the first lane that has one.

        Returns its lease; else the seconds until a retry is due; else None. Repeatable with the same token.
        """
        answer = json.loads(
            await self._run(
                "claim",
                lanes=list(lanes),
                token=token or secrets.token_hex(12),
                worker=worker,
                lease_ms=self._ms(self._times.lease),
            )
        )
        if "lease" in answer:
            return Lease.of(answer["lease"])
        return answer["due"] / 1000 if answer["due"] >= 0 else None

    async def renew(
        self, lease: Lease, progress: float, parts: int = 0, follow_ups: Sequence[NewTask] = ()
    ) -> LeaseState:
        """Extend a lease and report progress (0..1): RUNNING, CANCELLED or LOST."""
        return LeaseState(
            await self._run(
                "renew",
                **lease.as_json(),
                lease_ms=self._ms(self._times.lease),
                progress=round(progress, 4),
                parts=parts,
                follow_ups=[task.as_json() for task in follow_ups],
            )
        )

    async def settle(
        self,
        lease: Lease,
        result: dict[str, Any],
        follow_ups: Sequence[NewTask] = (),
        weights: tuple[float, float] | None = None,
    ) -> LeaseState:
        """Success: SUCCEEDED, CANCELLED or LOST. `weights` are the job's new total and base, once known."""
        total, base = weights or (False, False)
        return LeaseState(
            await self._run(
                "settle",
                **lease.as_json(),
                result=json.dumps(result),
                follow_ups=[task.as_json() for task in follow_ups],
                total=total,
                base=base,
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def fail(
        self, lease: Lease, sentence: str, last_words: str = "", *, hopeless: bool = False, delay: float = 0
    ) -> LeaseState:
        """Failure: RETRYING after `delay` seconds, DEAD, CANCELLED or LOST."""
        return LeaseState(
            await self._run(
                "fail",
                **lease.as_json(),
                sentence=sentence,
                last_words=last_words,
                hopeless=hopeless,
                delay_ms=self._ms(delay),
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def release(self, lease: Lease, delay: float = 0, sentence: str = "") -> LeaseState:
        """Give a task back without spending an attempt, until after `delay` seconds, or let go of a cancelled one."""
        return LeaseState(
            await self._run("release", **lease.as_json(), delay_ms=self._ms(delay), sentence=sentence),
        )

    async def reopen(self, lease: Lease, first: NewTask, sentence: str, last_words: str = "") -> LeaseState:
        """What a task builds on is gone, so its job begins again with `first`: QUEUED, DEAD (this happens too often),
        CANCELLED or LOST. Leases of other tasks stay in force. Not for interactive segments.
        """
        return LeaseState(
            await self._run(
                "reopen",
                **lease.as_json(),
                first=first.as_json(),
                sentence=sentence,
                last_words=last_words,
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def reap(self) -> list[Reaped]:
        """Take back the tasks of workers that stopped renewing, and trim old jobs: to be called often.

        Where nobody called it for half a lease, all have as long once more.
        """
        rows = await self._run(
            "reap",
            sentence="The worker stopped answering.",
            lease_ms=self._ms(self._times.lease),
            longest_ms=self._ms(2 * self._times.backoff_max),
            delay_ms=self._ms(self._times.segment_backoff),
            keep_ms=self._ms(self._times.dead_segment),
            keep_job_ms=self._ms(self._times.keep_job),
            keep_jobs=self._times.keep_jobs,
        )
        return [Reaped.of(row) for row in rows]

    async def leased_tokens(self) -> frozenset[str]:
        """Tokens of all leases that are held."""
        members = await self._guard(self._client.zrange(self._prefix + "leases", 0, -1))
        return frozenset(member.rpartition("|")[2] for member in members)

    async def hold(self, reason: str) -> None:
        """Say for a short while why no work is claimed; "" takes it back."""
        key = self._prefix + "hold"
        if reason:
            await self._guard(self._client.set(key, reason, px=self._ms(3 * self._times.room)))
        else:
            await self._guard(self._client.delete(key))

    # Interactive segments -----------------------------------------------------------------------------------

    async def want(self, film: int, task: NewTask, process: str) -> tuple[LeaseState, str]:
        """Ask for one segment in the name of a web process: its state, and the sentence when it is DEAD."""
        state, sentence = await self._run(
            "want",
            film=str(film),
            spec=task.as_json(),
            process=process,
            interest_ms=self._ms(self._times.interest),
        )
        return LeaseState(state), sentence

    async def unwant(self, film: int, task: NewTask, process: str) -> bool:
        """Withdraw a process's wish. True when nobody else wants it, so that the work was cancelled."""
        answer = await self._run(
            "unwant",
            film=str(film),
            task=task.id,
            rendition=task.rendition,
            number=task.index,
            process=process,
            keep_ms=self._ms(self._times.dead_segment),
        )
        return bool(answer)

    async def film_changed(self, film: int) -> None:
        """Tell every process that something about a film changed."""
        await self._guard(self._client.publish(self._prefix + "film", str(film)))
