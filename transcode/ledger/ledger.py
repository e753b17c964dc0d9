"""The ledger (job queue) in Redis: which worker holds which task. Every change is one script, and every call may be
repeated.

Every method raises `LedgerUnavailable` while Redis is unreachable or accepts no writes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from transcode.ledger.connection import LedgerConnection, Retry, to_ms
from transcode.ledger.pubsub import LedgerSubscription
from transcode.ledger.records import (
    Claim,
    Lease,
    LeaseState,
    NewTask,
    OpenedJob,
    Queue,
    ReapedTask,
    RetryLater,
    SegmentRequest,
)
from transcode.ledger.views import LedgerViews
from transcode.timing import DEFAULT_TIMING, Timing


class Ledger:
    """Changes to the jobs and tasks of all videos; `views` reads them. The caller owns the client and closes it."""

    def __init__(
        self, client: Redis, prefix: str = "videoflix:", timing: Timing = DEFAULT_TIMING, retry: Retry | None = None
    ) -> None:
        self.timing = timing
        self._connection = LedgerConnection(client, prefix, timing, retry)
        self.views = LedgerViews(self._connection)

    def retrying(self, retry: Retry) -> Ledger:
        """Return the same ledger, but with every call repeated by this policy while Redis is unavailable."""
        return Ledger(self._connection.client, self._connection.prefix, self.timing, retry)

    def subscribe(self) -> LedgerSubscription:
        """Return a new subscription to the ledger's messages. One per process is enough."""
        return LedgerSubscription(self._connection.client, self._connection.prefix, self.timing)

    # Server -------------------------------------------------------------------------------------------------

    async def ping(self) -> None:
        """Raise `LedgerUnavailable` unless Redis answers."""
        await self._connection.call(self._connection.client.ping)

    async def evicts_keys(self) -> bool:
        """Return whether Redis evicts arbitrary keys when its memory is full, in which case jobs would never end.

        False if Redis does not allow the question.
        """
        try:
            memory = await self._connection.call(lambda: self._connection.client.info("memory"))
        except ResponseError:  # an ACL may forbid INFO
            return False
        return str(memory.get("maxmemory_policy", "")).startswith("allkeys")

    # Jobs ---------------------------------------------------------------------------------------------------

    async def start(
        self,
        video_id: int,
        tasks: Sequence[NewTask],
        closing_task: NewTask | Sequence[NewTask],
        *,
        total: float = 0,
        base: float = 0,
    ) -> OpenedJob:
        """Open a job for a video unless a live one exists. An ended one is replaced.

        The closing tasks run one after another when all others are done. `total` and `base` are weights: of the whole
        job, and of what was done before it.
        """
        closing = [closing_task] if isinstance(closing_task, NewTask) else closing_task
        job_id, is_new = await self._connection.run_script(
            "start",
            video=str(video_id),
            tasks=_as_json(tasks),
            closing=_as_json(closing),
            total=total,
            base=base,
        )
        return OpenedJob(job_id, bool(is_new))

    async def cancel(self, video_id: int) -> int:
        """Cancel a video's job and its on-demand segments. Return how many leases workers still hold."""
        return int(await self._connection.run_script("cancel", video=str(video_id), keep_ms=self._failed_ttl_ms))

    async def forget(self, video_id: int) -> None:
        """Remove everything about a video's jobs. Leases still held become void."""
        await self._connection.run_script("forget", video=str(video_id))

    async def promote(self, video_id: int, task_id: str) -> bool:
        """Put a task before all others, even one that is not enqueued yet. Return False if it is too late."""
        return bool(await self._connection.run_script("promote", video=str(video_id), task=task_id))

    async def count_active_leases(self, video_id: int) -> int:
        """Return how many leases of a video are held, including those of workers that are stopping cancelled tasks."""
        return int(await self._connection.run_script("active_leases", video=str(video_id)))

    # Leases -------------------------------------------------------------------------------------------------

    async def claim(self, queues: Sequence[Queue], worker: str, token: str | None = None) -> Claim:
        """Claim the first task of the first of these queues that has one.

        Return its lease, `RetryLater` if a failed task becomes due, or None if there is nothing to do. Idempotent for
        the same token, so a retry finds the lease of a claim whose reply was lost.
        """
        reply = json.loads(
            await self._connection.run_script(
                "claim",
                queues=list(queues),
                token=token or secrets.token_hex(12),
                worker=worker,
                lease_ms=self._lease_ttl_ms,
            )
        )
        if "lease" in reply:
            return Lease.from_hash(reply["lease"])
        return RetryLater(reply["due"] / 1000) if reply["due"] >= 0 else None

    async def renew(
        self, lease: Lease, progress: float, parts_done: int = 0, follow_ups: Sequence[NewTask] = ()
    ) -> LeaseState:
        """Extend a lease, record its progress (0..1) and enqueue what the finished parts unblock.

        Return RUNNING, CANCELLED or LOST.
        """
        return LeaseState(
            await self._connection.run_script(
                "renew",
                **lease.as_json(),
                lease_ms=self._lease_ttl_ms,
                progress=round(progress, 4),
                parts_done=parts_done,
                follow_ups=_as_json(follow_ups),
            )
        )

    async def complete(
        self,
        lease: Lease,
        result: Mapping[str, Any],
        follow_ups: Sequence[NewTask] = (),
        weights: tuple[float, float] | None = None,
    ) -> LeaseState:
        """Record a success. `weights` are the job's total and base, once they are known.

        Return SUCCEEDED, CANCELLED or LOST.
        """
        total, base = weights or (False, False)
        return LeaseState(
            await self._connection.run_script(
                "complete",
                **lease.as_json(),
                result=json.dumps(result),
                follow_ups=_as_json(follow_ups),
                total=total,
                base=base,
                keep_ms=self._failed_ttl_ms,
            )
        )

    async def fail(
        self, lease: Lease, message: str, stderr_tail: str = "", *, permanent: bool = False, delay: float = 0
    ) -> LeaseState:
        """Record a failure. Return RETRYING (after `delay` seconds), DEAD, CANCELLED or LOST."""
        return LeaseState(
            await self._connection.run_script(
                "fail",
                **lease.as_json(),
                message=message,
                stderr_tail=stderr_tail,
                permanent=permanent,
                delay_ms=to_ms(delay),
                keep_ms=self._failed_ttl_ms,
            )
        )

    async def release(self, lease: Lease, delay: float = 0, message: str = "") -> LeaseState:
        """Give a task back without spending an attempt, to be claimed after `delay` seconds, or drop a cancelled one.

        Return QUEUED, RETRYING (after the delay), CANCELLED or LOST.
        """
        return LeaseState(
            await self._connection.run_script("release", **lease.as_json(), delay_ms=to_ms(delay), message=message)
        )

    async def restart_job(self, lease: Lease, first_task: NewTask, message: str, stderr_tail: str = "") -> LeaseState:
        """Restart a task's job with `first_task`, because an input of the task is missing. Not for on-demand segments.

        Leases of other tasks stay in force. Return QUEUED, DEAD (if it happens too often), CANCELLED or LOST.
        """
        return LeaseState(
            await self._connection.run_script(
                "restart_job",
                **lease.as_json(),
                first=first_task.as_json(),
                message=message,
                stderr_tail=stderr_tail,
                keep_ms=self._failed_ttl_ms,
            )
        )

    async def reap(self) -> list[ReapedTask]:
        """Take back tasks whose leases expired and delete old jobs. To be called often.

        If nobody called it for half a lease, all leases are extended by that long first.
        """
        members = await self._connection.run_script(
            "reap",
            message="The worker stopped answering.",
            lease_ms=self._lease_ttl_ms,
            max_delay_ms=to_ms(2 * self.timing.max_retry_backoff_s),
            delay_ms=to_ms(self.timing.segment_retry_backoff_s),
            keep_ms=self._failed_ttl_ms,
            keep_job_ms=to_ms(self.timing.job_retention_s),
            max_ended_jobs=self.timing.max_ended_jobs,
        )
        return [ReapedTask.from_member(member) for member in members]

    async def leased_tokens(self) -> frozenset[str]:
        """Return the tokens of all leases that are held."""
        client, key = self._connection.client, self._connection.prefix + "leases"
        members = await self._connection.call(lambda: client.zrange(key, 0, -1))
        return frozenset(member.rpartition("|")[2] for member in members)

    async def set_pause_reason(self, reason: str) -> None:
        """Publish for a short while why nothing is claimed; "" clears it."""
        client, key = self._connection.client, self._connection.prefix + "hold"
        ttl_ms = to_ms(3 * self.timing.disk_full_pause_s)
        await self._connection.call(lambda: client.set(key, reason, px=ttl_ms) if reason else client.delete(key))

    # On-demand segments -------------------------------------------------------------------------------------

    async def request_segment(self, video_id: int, task: NewTask, requester_id: str) -> SegmentRequest:
        """Request one segment for the viewers of a web process."""
        state, message = await self._connection.run_script(
            "request",
            video=str(video_id),
            task=task.as_json(),
            requester=requester_id,
            request_ttl_ms=to_ms(self.timing.request_ttl_s),
        )
        return SegmentRequest(LeaseState(state), message)

    async def withdraw_segment(self, video_id: int, task: NewTask, requester_id: str) -> bool:
        """Withdraw a request. Return True if it was the last one, so that the task was cancelled."""
        was_cancelled = await self._connection.run_script(
            "withdraw",
            video=str(video_id),
            task=task.id,
            rendition=task.rendition,
            number=task.index,
            requester=requester_id,
            keep_ms=self._failed_ttl_ms,
        )
        return bool(was_cancelled)

    async def publish_video_changed(self, video_id: int) -> None:
        """Tell every process that something about a video changed."""
        client, channel = self._connection.client, self._connection.prefix + "film"
        await self._connection.call(lambda: client.publish(channel, str(video_id)))

    @property
    def _lease_ttl_ms(self) -> int:
        return to_ms(self.timing.lease_ttl_s)

    @property
    def _failed_ttl_ms(self) -> int:
        """How long scripts keep the task of an on-demand segment after its end."""
        return to_ms(self.timing.failed_segment_ttl_s)


def _as_json(tasks: Sequence[NewTask]) -> list[dict[str, Any]]:
    return [task.as_json() for task in tasks]
