"""What handlers are handed: every service, built once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from videoflix.ports import Engine
from videoflix.settings import Settings
from videoflix.upload_storage import UploadStorage
from videoflix.viewing import Viewing


@dataclass(frozen=True, slots=True)
class Services:
    """Frozen: a handler can use them, never exchange them."""

    settings: Settings
    accounts: Accounts
    token_verifier: TokenVerifier
    user_admin: UserAdmin
    unconfirmed_accounts: UnconfirmedAccounts
    account_purge: AccountPurge
    rate_limiter: RateLimiter
    outbox: Outbox
    mailer: Mailer
    catalogue: Catalogue
    index_sync: IndexSync
    viewing: Viewing
    video_purge: VideoPurge
    engine: Engine
    media: Media
    uploads: UploadStorage
    is_outage: Callable[[BaseException], bool]  # what drivers raise while their server is away
    health_checks: HealthChecks
    metrics: Metrics
