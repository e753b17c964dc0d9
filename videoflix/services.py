"""What handlers and the web process are given: every service, built once by the composition root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from transcode import Engine, SegmentFailed, SegmentTimeout, TooManyWaiters
from videoflix.accounts.maintenance import AccountPurge, UnconfirmedAccounts
from videoflix.accounts.rate_limits import RateLimiter
from videoflix.accounts.service import Accounts
from videoflix.accounts.user_admin import UserAdmin
from videoflix.auth.verifier import TokenVerifier
from videoflix.catalogue import Catalogue
from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.maintenance import VideoPurge
from videoflix.errors import ServiceError, Unavailable
from videoflix.health import HealthChecks
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.media.service import Media
from videoflix.metrics import Metrics
from videoflix.settings import Settings
from videoflix.upload_storage import UploadStorage
from videoflix.viewing import Viewing

_RETRY_AFTER_OUTAGE_S = 5  # seconds until a server that went away may be back
_RETRY_AFTER_FAILURE_S = 10  # seconds until a segment that failed may be attempted again


@dataclass(frozen=True, slots=True)
class Services:
    """The service without Tornado: everything that handlers use, and nothing else."""

    settings: Settings
    accounts: Accounts
    token_verifier: TokenVerifier
    user_admin: UserAdmin
    rate_limiter: RateLimiter
    outbox: Outbox
    catalogue: Catalogue
    index_sync: IndexSync
    viewing: Viewing
    engine: Engine
    media: Media
    uploads: UploadStorage
    is_outage: Callable[[BaseException], bool]  # whether a server is unavailable, rather than the call wrong
    health_checks: HealthChecks
    metrics: Metrics

    def to_service_error(self, error: BaseException) -> ServiceError | None:
        """Return the answer to an expected failure, or None if the error is a bug or not known here."""
        if isinstance(error, ServiceError):
            return error
        if isinstance(error, (TooManyWaiters, SegmentTimeout)):
            return Unavailable("This part of the video is not ready yet.", error.retry_after)
        if isinstance(error, SegmentFailed):
            return Unavailable("This part of the video cannot be made at the moment.", _RETRY_AFTER_FAILURE_S)
        if self.is_outage(error):
            return Unavailable("The service is not available at the moment.", _RETRY_AFTER_OUTAGE_S)
        return None


@dataclass(frozen=True, slots=True)
class BackgroundJobs:
    """What a web process does besides answering requests."""

    mailer: Mailer
    video_purge: VideoPurge
    account_purge: AccountPurge
    unconfirmed_accounts: UnconfirmedAccounts
    metrics: Metrics

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Run all jobs until the block is left."""
        async with (
            self.mailer.run_in_background(),
            self.video_purge.run_in_background(),
            self.unconfirmed_accounts.run_in_background(),
            self.account_purge.run_in_background(),
            self.metrics.run_in_background(),
        ):
            yield
