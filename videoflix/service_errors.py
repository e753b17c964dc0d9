"""Which response an expected failure leads to: 503 for a segment that is not there yet, and for an outage."""

from __future__ import annotations

from collections.abc import Callable

from transcode import SegmentFailed, SegmentTimeout, TooManyWaiters
from videoflix.errors import ServiceError, Unavailable

_RETRY_AFTER_OUTAGE_S = 5  # seconds until a server that went away may be back
_RETRY_AFTER_FAILURE_S = 10  # seconds until a segment that failed may be attempted again


def to_service_error(error: BaseException, is_outage: Callable[[BaseException], bool]) -> ServiceError | None:
    """Return the response to an expected failure, or None if the error is a bug or not known here."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, (TooManyWaiters, SegmentTimeout)):
        return Unavailable("This part of the video is not ready yet.", error.retry_after)
    if isinstance(error, SegmentFailed):
        return Unavailable("This part of the video cannot be made at the moment.", _RETRY_AFTER_FAILURE_S)
    if is_outage(error):
        return Unavailable("The service is not available at the moment.", _RETRY_AFTER_OUTAGE_S)
    return None
