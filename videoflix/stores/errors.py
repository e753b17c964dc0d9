"""When the database is to blame and not the question: it is away, and the same call may be repeated later."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

# Answers of a database that is there but cannot serve for the moment, beside those that the driver takes for a lost
# connection (a server that steps down or ends): its disk is full, it is asked too much, it gave a call up; or its
# password was changed, and this process has yet to be told.
_TRANSIENT_ERROR_CODES = frozenset({
    14031,  # OutOfDiskSpace
    1,  # InternalError: all that the embedded database says after a full disk, until it is started again
    462,  # IngressRequestRateLimitExceeded
    24,  # LockTimeout
    112,  # WriteConflict
    11601,  # Interrupted
    13,  # Unauthorized
    18,  # AuthenticationFailed
})  # fmt: skip


def is_outage(error: BaseException) -> bool:
    """Whether a later try may be answered; everything else is a bug, or a document that cannot be."""
    if isinstance(error, ConnectionFailure):
        return True
    if isinstance(error, OperationFailure) and error.code in _TRANSIENT_ERROR_CODES:
        return True
    return isinstance(error, PyMongoError) and (error.timeout or error.has_error_label("RetryableWriteError"))
