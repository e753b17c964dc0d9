"""The transcoding engine: turns uploaded videos into HLS.

This is its public face: what web processes, the command line and the composition root use. Names are imported when
they are first used, because every encoder process imports this package and needs neither Redis nor asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transcode import paths
    from transcode.engine import Engine
    from transcode.file_lock import try_lock
    from transcode.ladder import RESOLUTIONS
    from transcode.ledger import JobProgress, Ledger, LedgerUnavailable, ListenerTiming, RedisListener
    from transcode.pending_segment import SegmentFailed, SegmentTimeout
    from transcode.presentation import Presentation
    from transcode.publishing import fsync_path
    from transcode.repository import NOTHING_OMITTED, Omissions, RepositoryUnavailable, VideoRecord, VideoRepository
    from transcode.waiter_limit import TooManyWaiters

__all__ = [
    "NOTHING_OMITTED",
    "RESOLUTIONS",
    "Engine",
    "JobProgress",
    "Ledger",
    "LedgerUnavailable",
    "ListenerTiming",
    "Omissions",
    "Presentation",
    "RedisListener",
    "RepositoryUnavailable",
    "SegmentFailed",
    "SegmentTimeout",
    "TooManyWaiters",
    "VideoRecord",
    "VideoRepository",
    "fsync_path",
    "paths",
    "try_lock",
]

_MODULE_BY_NAME = {
    "NOTHING_OMITTED": "transcode.repository",
    "RESOLUTIONS": "transcode.ladder",
    "Engine": "transcode.engine",
    "JobProgress": "transcode.ledger",
    "Ledger": "transcode.ledger",
    "LedgerUnavailable": "transcode.ledger",
    "ListenerTiming": "transcode.ledger",
    "Omissions": "transcode.repository",
    "Presentation": "transcode.presentation",
    "RedisListener": "transcode.ledger",
    "RepositoryUnavailable": "transcode.repository",
    "SegmentFailed": "transcode.pending_segment",
    "SegmentTimeout": "transcode.pending_segment",
    "TooManyWaiters": "transcode.waiter_limit",
    "VideoRecord": "transcode.repository",
    "VideoRepository": "transcode.repository",
    "fsync_path": "transcode.publishing",
    "try_lock": "transcode.file_lock",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_BY_NAME[name]), name)
    return value
