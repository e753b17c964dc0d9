"""The ledger (job queue) in Redis: the only part of the engine that talks to Redis."""

from transcode.ledger.connection import LedgerUnavailable, Retry
from transcode.ledger.ledger import Ledger
from transcode.ledger.listener import ListenerTiming, RedisListener
from transcode.ledger.pubsub import LedgerSubscription, SegmentNotification
from transcode.ledger.records import (
    Claim,
    JobProgress,
    JobView,
    Lease,
    LeaseState,
    NewTask,
    OpenedJob,
    Queue,
    ReapedTask,
    RetryLater,
    SegmentRequest,
    TaskView,
)  # fmt: skip
from transcode.ledger.states import LIVE, TRANSITIONS, State

__all__ = [
    "LIVE",
    "TRANSITIONS",
    "Claim",
    "JobProgress",
    "JobView",
    "Lease",
    "LeaseState",
    "Ledger",
    "LedgerSubscription",
    "LedgerUnavailable",
    "ListenerTiming",
    "NewTask",
    "OpenedJob",
    "Queue",
    "ReapedTask",
    "RedisListener",
    "Retry",
    "RetryLater",
    "SegmentNotification",
    "SegmentRequest",
    "State",
    "TaskView",
]  # fmt: skip
