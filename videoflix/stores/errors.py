"""Tells outages of the database from errors of the caller. After an outage, the same call may succeed."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

# Error codes of a database that is running but temporarily unable to serve: its disk is full, it is overloaded, or it
# aborted the call; or its password has been changed and this process not restarted yet. The driver itself treats a
# server that steps down or shuts down as a lost connection.
_TRANSIENT_ERROR_CODES = frozenset({
    14031,  # OutOfDiskSpace
    1,  # InternalError: what the embedded database reports after its disk was full, until it is restarted
    462,  # IngressRequestRateLimitExceeded
    24,  # LockTimeout
    112,  # WriteConflict
    11601,  # Interrupted
    13,  # Unauthorized
    18,  # AuthenticationFailed
})  # fmt: skip


def is_outage(error: BaseException) -> bool:
    """Return whether a later attempt may succeed. Any other error is a bug, or an invalid document."""
    if isinstance(error, ConnectionFailure):
        return True
    if isinstance(error, OperationFailure) and error.code in _TRANSIENT_ERROR_CODES:
        return True
    return isinstance(error, PyMongoError) and (error.timeout or error.has_error_label("RetryableWriteError"))
