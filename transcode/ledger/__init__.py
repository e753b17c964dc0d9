"""The ledger of the work, in Redis: the only place of the engine that speaks to it."""

from transcode.ledger.ledger import Ledger
from transcode.ledger.line import LedgerUnavailable
from transcode.ledger.notices import Notices, SegmentNotice
from transcode.ledger.records import JobView, Lane, Lease, LeaseState, NewTask, Progress, Reaped, TaskView
from transcode.ledger.states import LIVE, MOVES, State

__all__ = [
    "LIVE", "MOVES", "JobView", "Lane", "Lease", "LeaseState", "Ledger", "LedgerUnavailable", "NewTask",
    "Notices", "Progress", "Reaped", "SegmentNotice", "State", "TaskView",
]  # fmt: skip
