"""Builds all stores and services in one place and closes them in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase

from transcode import Engine, Ledger
from videoflix.accounts.account_mails import AccountMailComposer
from videoflix.accounts.maintenance import AccountPurge, UnconfirmedAccounts
from videoflix.accounts.passwords import HashCost, Passwords
from videoflix.accounts.rate_limits import RateLimiter
from videoflix.accounts.service import Accounts
from videoflix.accounts.user_admin import UserAdmin
from videoflix.auth.one_time_tokens import OneTimeTokens
from videoflix.auth.playback_tokens import PlaybackTokens
from videoflix.auth.revocations import Revocations
from videoflix.auth.sessions import Sessions
from videoflix.auth.tokens import Tokens
from videoflix.auth.verifier import TokenVerifier
from videoflix.bootstrap.clients import Clients, is_server_outage, open_clients
from videoflix.catalogue import Catalogue
from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.maintenance import VideoPurge
from videoflix.errors import CommandError
from videoflix.health import HealthChecks
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.mail.renderer import MailRenderer
from videoflix.mail.transport import make_transport
from videoflix.media.service import Media
from videoflix.media.video_cache import VideoCache
from videoflix.metrics import Metrics
from videoflix.services import BackgroundJobs, Services
from videoflix.settings import Settings
from videoflix.stores.counters import CounterStore
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.one_time_tokens import OneTimeTokenStore
from videoflix.stores.outbox import OutboxStore
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.stores.viewing import MyListStore, ProgressStore, RatingStore
from videoflix.upload_storage import UploadStorage
from videoflix.viewing import Viewing
from videoflix.viewing.popularity import Popularity
from videoflix.viewing.progress import ProgressReports
from videoflix.viewing.recent_progress import RecentProgressCache


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open what handlers and commands use. Raises CommandError if a setting or a server is missing."""
    async with open_application(settings) as (services, _):
        yield services


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[tuple[Services, BackgroundJobs]]:
    """Open the services and the background jobs of a web process; the jobs are not started.

    Raises CommandError if a setting or a server is missing.
    """
    if not settings.secret_key.get_secret_value():
        raise CommandError("SECRET_KEY is not set: give it a random text of at least 32 characters.")
    async with open_clients(settings) as clients, AsyncExitStack() as stack:
        stores = _Stores(clients.database)
        await stores.create_indexes()
        engine = Engine(Ledger(clients.redis), settings.media_root)
        stack.push_async_callback(engine.close)
        index_sync = IndexSync(stores.videos, engine)
        stack.push_async_callback(index_sync.close)
        viewing = _make_viewing(stores, clients, index_sync, stack)
        video_cache = VideoCache(stores.videos)
        engine.on_video_changed(video_cache.refresh)
        stack.push_async_callback(video_cache.close)
        yield await _assemble(settings, clients, stores, engine, index_sync, viewing, video_cache, stack)


class _Stores:
    """One store for each collection."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self.counters = CounterStore(database)
        self.users = UserStore(database)
        self.sessions = SessionStore(database)
        self.one_time_tokens = OneTimeTokenStore(database)
        self.outbox = OutboxStore(database)
        self.videos = VideoStore(database)
        self.file_journal = FileJournalStore(database)
        self.progress = ProgressStore(database)
        self.my_lists = MyListStore(database)
        self.ratings = RatingStore(database)

    async def create_indexes(self) -> None:
        """Create all indexes. Idempotent."""
        indexed = [store for store in vars(self).values() if not isinstance(store, CounterStore)]
        await asyncio.gather(*(store.create_indexes() for store in indexed))


def _make_viewing(stores: _Stores, clients: Clients, index_sync: IndexSync, stack: AsyncExitStack) -> Viewing:
    """Progress reports that are still in memory are written when the stack is closed."""
    popularity = Popularity(stores.progress, stores.ratings)
    reports = ProgressReports(
        stores.progress,
        RecentProgressCache(clients.fail_fast_redis),
        stores.users.filter_existing,
        stores.videos.filter_existing,
    )
    stack.push_async_callback(popularity.close)
    stack.push_async_callback(reports.close)
    return Viewing(index_sync, reports, stores.my_lists, stores.ratings, popularity)


async def _assemble(
    settings: Settings,
    clients: Clients,
    stores: _Stores,
    engine: Engine,
    index_sync: IndexSync,
    viewing: Viewing,
    video_cache: VideoCache,
    stack: AsyncExitStack,
) -> tuple[Services, BackgroundJobs]:
    secret = settings.secret_key.get_secret_value()
    tokens = Tokens(secret, settings.access_token_minutes * 60)
    playback_tokens = PlaybackTokens(secret, settings.playback_token_hours * 3600)
    token_lifetime_s = max(tokens.lifetime_s, playback_tokens.lifetime_s)
    revocations = Revocations(clients.fail_fast_redis, stores.sessions.list_ended_since, token_lifetime_s)
    one_time_tokens, outbox = OneTimeTokens(stores.one_time_tokens), Outbox(stores.outbox)
    sessions = Sessions(
        stores.sessions, stores.users, tokens, revocations, lifetime=timedelta(days=settings.refresh_token_days)
    )
    passwords = stack.enter_context(closing(Passwords(_hash_cost(settings), settings.hashing_threads)))
    accounts = Accounts(
        stores.users, stores.counters, sessions, one_time_tokens, outbox, passwords,
        erasers=[viewing.forget_user],
    )  # fmt: skip
    await stack.enter_async_context(revocations.run_in_background())
    token_verifier = TokenVerifier(tokens, playback_tokens, revocations, sessions)
    health_checks: HealthChecks = {
        "database": clients.database["counters"].find_one,  # a server that answers a ping may answer nothing else
        "redis": clients.redis.ping,
    }
    state_counters = {"jobs": engine.job_states, "tasks": engine.task_states, "mails": outbox.count_by_state}
    services = Services(
        settings=settings,
        accounts=accounts,
        token_verifier=token_verifier,
        user_admin=UserAdmin(stores.users, accounts),
        rate_limiter=RateLimiter(clients.fail_fast_redis, secret, settings.rate_limit_factor),
        outbox=outbox,
        catalogue=_make_catalogue(settings, stores, engine, index_sync, viewing),
        index_sync=index_sync,
        viewing=viewing,
        engine=engine,
        media=Media(settings.media_root, video_cache, engine),
        uploads=UploadStorage(settings),
        is_outage=is_server_outage,
        health_checks=health_checks,
        metrics=Metrics(lambda: engine.waiters, lambda: token_verifier.is_in_sync, health_checks, state_counters),
    )
    return services, _make_jobs(services, stores, one_time_tokens)


def _hash_cost(settings: Settings) -> HashCost:
    return HashCost(settings.password_memory_mib, settings.password_iterations, settings.password_lanes)


def _make_catalogue(
    settings: Settings, stores: _Stores, engine: Engine, index_sync: IndexSync, viewing: Viewing
) -> Catalogue:
    return Catalogue(
        stores.videos, stores.file_journal, stores.counters, engine, index_sync, settings.media_root,
        on_delete=[viewing.forget_video],
    )  # fmt: skip


def _make_jobs(services: Services, stores: _Stores, one_time_tokens: OneTimeTokens) -> BackgroundJobs:
    settings, outbox = services.settings, services.outbox
    composer = AccountMailComposer(stores.users, one_time_tokens, MailRenderer(settings.email_from), settings)
    return BackgroundJobs(
        mailer=Mailer(outbox, composer.compose, make_transport(settings), on_sent=composer.sent),
        video_purge=VideoPurge(stores.videos, stores.file_journal, [services.viewing.forget_video]),
        account_purge=AccountPurge(stores.users, services.accounts),
        unconfirmed_accounts=UnconfirmedAccounts(stores.users, one_time_tokens, outbox, settings.unconfirmed_days),
        metrics=services.metrics,
    )
