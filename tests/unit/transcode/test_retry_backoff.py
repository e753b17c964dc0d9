"""The pause before a failed task is tried again."""

from __future__ import annotations

import pytest

from transcode.ledger import Lease
from transcode.timing import Timing
from transcode.worker.outcome import retry_delay


def backoff(kind: str, attempt: int) -> float:
    lease = Lease("job", "task", "token", 1, kind, 0, "", attempt, 5)
    return retry_delay(lease, Timing())


@pytest.mark.parametrize(("attempt", "least"), [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (50, 60.0)])
def test_the_pause_doubles_up_to_a_minute_with_jitter(attempt: int, least: float) -> None:
    pauses = [backoff("chunk", attempt) for _ in range(50)]
    assert all(least <= pause <= 2 * least for pause in pauses)
    assert len(set(pauses)) > 1


def test_a_viewer_waits_only_briefly_for_the_next_attempt() -> None:
    assert backoff("segment", 1) == backoff("segment", 4) == Timing().segment_retry_backoff_s < 1
