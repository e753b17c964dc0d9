"""The ledger: who works on what, in Redis. Every move is one script, and every call may be repeated.

Any method raises `LedgerUnavailable` while Redis cannot be reached or cannot write.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from transcode.ledger.pubsub import LedgerSubscription
from transcode.ledger.records import Lease, LeaseState, NewTask, Queue, ReapedTask
from transcode.ledger.views import LedgerViews


class Ledger(LedgerViews):
    """Jobs and tasks of all films. The client stays its owner's to close."""

    def subscribe(self) -> LedgerSubscription:
        """A subscription of its own; one per process is enough."""
        return LedgerSubscription(self._client, self._prefix, self._timing)

    # Jobs ---------------------------------------------------------------------------------------------------

    async def start(
        self,
        video_id: int,
        tasks: Sequence[NewTask],
        closing_task: NewTask | Sequence[NewTask],
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
        closing = [task.as_json() for task in ([closing_task] if isinstance(closing_task, NewTask) else closing_task)]
        job, new = await self._run_script("start", film=str(video_id), tasks=rows, last=closing, total=total, base=base)
        return job, bool(new)

    async def cancel(self, video_id: int) -> int:
        """Cancel a film's job and interactive segments. Returns how many workers have not let go yet."""
        return int(
            await self._run_script("cancel", film=str(video_id), keep_ms=self._to_ms(self._timing.failed_segment_ttl_s))
        )

    async def forget(self, video_id: int) -> None:
        """Remove all that is known of a film's work; leases that are out turn void."""
        await self._run_script("forget", film=str(video_id))

    async def promote(self, video_id: int, task_id: str) -> bool:
        """Put a task before all others, also one that is yet to be enqueued. False when it is too late."""
        return bool(await self._run_script("raise", film=str(video_id), task=task_id))

    async def count_active_leases(self, video_id: int) -> int:
        """How many workers hold a lease of the film, those included that are stopping cancelled work."""
        return int(await self._run_script("held", film=str(video_id)))

    # Work ---------------------------------------------------------------------------------------------------

    async def claim(self, queues: Sequence[Queue], worker: str, token: str | None = None) -> Lease | float | None:
        """Take the first task of the first lane that has one.

        Returns its lease; else the seconds until a retry is due; else None. Repeatable with the same token.
        """
        answer = json.loads(
            await self._run_script(
                "claim",
                lanes=list(queues),
                token=token or secrets.token_hex(12),
                worker=worker,
                lease_ms=self._to_ms(self._timing.lease_ttl_s),
            )
        )
        if "lease" in answer:
            return Lease.from_hash(answer["lease"])
        return answer["due"] / 1000 if answer["due"] >= 0 else None

    async def renew(
        self, lease: Lease, progress: float, parts_done: int = 0, follow_ups: Sequence[NewTask] = ()
    ) -> LeaseState:
        """Extend a lease and report progress (0..1): RUNNING, CANCELLED or LOST."""
        return LeaseState(
            await self._run_script(
                "renew",
                **lease.as_json(),
                lease_ms=self._to_ms(self._timing.lease_ttl_s),
                progress=round(progress, 4),
                parts=parts_done,
                follow_ups=[task.as_json() for task in follow_ups],
            )
        )

    async def complete(
        self,
        lease: Lease,
        result: Mapping[str, Any],
        follow_ups: Sequence[NewTask] = (),
        weights: tuple[float, float] | None = None,
    ) -> LeaseState:
        """Success: SUCCEEDED, CANCELLED or LOST. `weights` are the job's new total and base, once known."""
        total, base = weights or (False, False)
        return LeaseState(
            await self._run_script(
                "settle",
                **lease.as_json(),
                result=json.dumps(result),
                follow_ups=[task.as_json() for task in follow_ups],
                total=total,
                base=base,
                keep_ms=self._to_ms(self._timing.failed_segment_ttl_s),
            )
        )

    async def fail(
        self, lease: Lease, message: str, stderr_tail: str = "", *, permanent: bool = False, delay: float = 0
    ) -> LeaseState:
        """Failure: RETRYING after `delay` seconds, DEAD, CANCELLED or LOST."""
        return LeaseState(
            await self._run_script(
                "fail",
                **lease.as_json(),
                sentence=message,
                last_words=stderr_tail,
                hopeless=permanent,
                delay_ms=self._to_ms(delay),
                keep_ms=self._to_ms(self._timing.failed_segment_ttl_s),
            )
        )

    async def release(self, lease: Lease, delay: float = 0, message: str = "") -> LeaseState:
        """Give a task back without spending an attempt, until after `delay` seconds, or let go of a cancelled one."""
        return LeaseState(
            await self._run_script("release", **lease.as_json(), delay_ms=self._to_ms(delay), sentence=message),
        )

    async def restart_job(self, lease: Lease, first_task: NewTask, message: str, stderr_tail: str = "") -> LeaseState:
        """What a task builds on is gone, so its job begins again with `first`: QUEUED, DEAD (this happens too often),
        CANCELLED or LOST. Leases of other tasks stay in force. Not for interactive segments.
        """
        return LeaseState(
            await self._run_script(
                "reopen",
                **lease.as_json(),
                first=first_task.as_json(),
                sentence=message,
                last_words=stderr_tail,
                keep_ms=self._to_ms(self._timing.failed_segment_ttl_s),
            )
        )

    async def reap(self) -> list[ReapedTask]:
        """Take back the tasks of workers that stopped renewing, and trim old jobs: to be called often.

        Where nobody called it for half a lease, all have as long once more.
        """
        rows = await self._run_script(
            "reap",
            sentence="The worker stopped answering.",
            lease_ms=self._to_ms(self._timing.lease_ttl_s),
            longest_ms=self._to_ms(2 * self._timing.max_retry_backoff_s),
            delay_ms=self._to_ms(self._timing.segment_retry_backoff_s),
            keep_ms=self._to_ms(self._timing.failed_segment_ttl_s),
            keep_job_ms=self._to_ms(self._timing.job_retention_s),
            keep_jobs=self._timing.max_ended_jobs,
        )
        return [ReapedTask.from_member(row) for row in rows]

    async def leased_tokens(self) -> frozenset[str]:
        """Tokens of all leases that are held."""
        members = await self._call(self._client.zrange(self._prefix + "leases", 0, -1))
        return frozenset(member.rpartition("|")[2] for member in members)

    async def set_pause_reason(self, reason: str) -> None:
        """Say for a short while why no work is claimed; "" takes it back."""
        key = self._prefix + "hold"
        if reason:
            await self._call(self._client.set(key, reason, px=self._to_ms(3 * self._timing.disk_full_pause_s)))
        else:
            await self._call(self._client.delete(key))

    # Interactive segments -----------------------------------------------------------------------------------

    async def request_segment(self, video_id: int, task: NewTask, requester_id: str) -> tuple[LeaseState, str]:
        """Ask for one segment in the name of a web process: its state, and the sentence when it is DEAD."""
        state, sentence = await self._run_script(
            "want",
            film=str(video_id),
            spec=task.as_json(),
            process=requester_id,
            interest_ms=self._to_ms(self._timing.request_ttl_s),
        )
        return LeaseState(state), sentence

    async def withdraw_segment(self, video_id: int, task: NewTask, requester_id: str) -> bool:
        """Withdraw a process's wish. True when nobody else wants it, so that the work was cancelled."""
        answer = await self._run_script(
            "unwant",
            film=str(video_id),
            task=task.id,
            rendition=task.rendition,
            number=task.index,
            process=requester_id,
            keep_ms=self._to_ms(self._timing.failed_segment_ttl_s),
        )
        return bool(answer)

    async def publish_video_changed(self, video_id: int) -> None:
        """Tell every process that something about a film changed."""
        await self._call(self._client.publish(self._prefix + "film", str(video_id)))
