"""Builds stores and services in one place, and closes them in reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from transcode.ledger import Ledger
from videoflix.bootstrap.accounts import AccountServices, open_accounts
from videoflix.bootstrap.catalogue import CatalogueServices, open_catalogue
from videoflix.bootstrap.clients import Clients, is_server_outage, open_clients
from videoflix.bootstrap.engine import ServiceEngine, open_engine
from videoflix.errors import CommandError
from videoflix.health import HealthChecks
from videoflix.media.service import Media
from videoflix.media.video_cache import VideoCache
from videoflix.metrics import Metrics
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.upload_storage import UploadStorage


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything that handlers need."""
    if not settings.secret_key.get_secret_value():
        raise CommandError("SECRET_KEY is not set: give it a random text of at least 32 characters.")
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(open_clients(settings))
        users, videos = UserStore(clients.database), VideoStore(clients.database)
        engine = await stack.enter_async_context(open_engine(Ledger(clients.redis), settings.media_root))
        catalogued = await stack.enter_async_context(
            open_catalogue(clients.database, clients.fail_fast_redis, videos, users, engine, settings.media_root)
        )
        holdings = [catalogued.viewing.forget_user]  # what goes with a deleted user
        people = await stack.enter_async_context(
            open_accounts(settings, clients.database, clients.fail_fast_redis, users, holdings)
        )
        films = VideoCache(videos)
        engine.on_video_changed(films.refresh)
        stack.push_async_callback(films.close)
        yield _assemble_services(settings, clients, engine, catalogued, people, films)


def _assemble_services(
    settings: Settings,
    clients: Clients,
    engine: ServiceEngine,
    catalogue_services: CatalogueServices,
    account_services: AccountServices,
    video_cache: VideoCache,
) -> Services:
    """What was opened, as handlers see it, and what watches over it."""
    checks: HealthChecks = {
        "database": clients.database["counters"].find_one,  # one that answers a ping may answer nothing else
        "redis": clients.redis.ping,
    }
    metrics = Metrics(
        count_waiters=lambda: engine.waiters,
        is_in_sync=lambda: account_services.token_verifier.is_in_sync,
        checks=checks,
        state_counters={
            "jobs": engine.job_states,
            "tasks": engine.task_states,
            "mails": account_services.outbox.count_by_state,
        },
    )
    return Services(
        settings=settings,
        accounts=account_services.accounts,
        token_verifier=account_services.token_verifier,
        user_admin=account_services.user_admin,
        unconfirmed_accounts=account_services.unconfirmed_accounts,
        account_purge=account_services.account_purge,
        rate_limiter=account_services.rate_limiter,
        outbox=account_services.outbox,
        mailer=account_services.mailer,
        catalogue=catalogue_services.catalogue,
        index_sync=catalogue_services.index_sync,
        viewing=catalogue_services.viewing,
        video_purge=catalogue_services.video_purge,
        engine=engine,
        media=Media(settings.media_root, video_cache, engine),
        uploads=UploadStorage(settings),
        is_outage=is_server_outage,
        health_checks=checks,
        metrics=metrics,
    )
