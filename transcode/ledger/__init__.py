"""The ledger of the work, in Redis: the only place of the engine that speaks to it."""

from transcode.ledger.connection import LedgerUnavailable
from transcode.ledger.ledger import Ledger
from transcode.ledger.listener import ListenerTiming, RedisListener
from transcode.ledger.pubsub import LedgerSubscription, SegmentNotification
from transcode.ledger.records import JobProgress, JobView, Lease, LeaseState, NewTask, Queue, ReapedTask, TaskView
from transcode.ledger.states import LIVE, TRANSITIONS, State

__all__ = [
    "LIVE",
    "TRANSITIONS",
    "JobProgress",
    "JobView",
    "Lease",
    "LeaseState",
    "Ledger",
    "LedgerSubscription",
    "LedgerUnavailable",
    "ListenerTiming",
    "NewTask",
    "Queue",
    "ReapedTask",
    "RedisListener",
    "SegmentNotification",
    "State",
    "TaskView",
]  # fmt: skip
