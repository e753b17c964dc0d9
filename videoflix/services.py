"""What handlers and the web process are given: every service, built once by the composition root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from transcode import Engine
from videoflix.accounts.maintenance import AccountPurge, UnconfirmedAccounts
from videoflix.accounts.rate_limits import RateLimiter
from videoflix.accounts.service import Accounts
from videoflix.accounts.user_admin import UserAdmin
from videoflix.auth.verifier import TokenVerifier
from videoflix.catalogue import Catalogue
from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.maintenance import VideoPurge
from videoflix.health import HealthChecks
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.media.service import Media
from videoflix.metrics import Metrics
from videoflix.settings import Settings
from videoflix.upload_storage import UploadStorage
from videoflix.viewing import Viewing


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
