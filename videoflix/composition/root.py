"""Builds clients, stores and services in one place, and closes them in reverse order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from transcode.ledger import Ledger
from videoflix.checks import Checks
from videoflix.composition.accounts import open_accounts
from videoflix.composition.catalogue import open_catalogue
from videoflix.composition.engine import open_engine
from videoflix.errors import CommandError
from videoflix.media.films import Films
from videoflix.media.service import Media
from videoflix.metrics import Metrics
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.uploads import Uploads

_log = logging.getLogger(__name__)

# What the driver says is not told: it may hold a part of the password.
_BAD_URL = "{} is not valid: it should look like {}; special characters of a password are written as %40 and so on."
# Milliseconds. The driver asks the database all the time whether it lives, and breaks off what waits for one that does
# not answer; that alone would not be noticed before each call's own limit, which is long, for some work is.
_HEARTBEAT_MS, _ANSWER_MS, _LONGEST_CALL_MS = 1000, 3000, 20_000
_FIND_SERVER_MS = 2000  # that a call looks for a database that is known to be away
# What is answered with success is in the journal on the disk, of most members where there are several: a MongoDB that
# stands alone would acknowledge from memory, and a kill cost the last 100 ms. Who wants less says so in the URI.
DURABLE = WriteConcern("majority", j=True)


@dataclass(frozen=True, slots=True)
class Clients:
    """Open connections to the two servers. `channel` does not reconnect silently: a gap in its messages is an error."""

    database: AsyncIOMotorDatabase[dict[str, Any]]
    redis: Redis
    channel: Redis


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Both clients, known to answer. Raises CommandError that names the variable of the one that does not."""
    mongo = _mongo(settings)
    redis = _redis(settings, retries=3)
    channel = _redis(settings, retries=0)
    try:
        await _require(mongo.admin.command("ping"), "The database", "MONGODB_URI")
        await _require(redis.ping(), "Redis", "REDIS_URL")
        asked = mongo.write_concern if not mongo.write_concern.is_server_default else DURABLE
        yield Clients(mongo.get_database(settings.mongodb_db, write_concern=asked), redis, channel)
    finally:
        await channel.aclose()
        await redis.aclose()
        mongo.close()


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
            open_catalogue(clients.database, clients.channel, videos, users, engine, settings.media_root)
        )
        holdings = [catalogued.viewing.forget_user]  # what goes with a deleted user
        people = await stack.enter_async_context(
            open_accounts(settings, clients.database, clients.channel, users, holdings)
        )
        films = Films(videos)
        engine.on_film_changed(films.changed)
        stack.push_async_callback(films.close)
        checks: Checks = {
            "database": lambda: clients.database.client.admin.command("ping"),
            "redis": clients.redis.ping,
        }
        metrics = Metrics(
            waiting=lambda: engine.waiters,
            in_step=lambda: people.admission.is_current,
            checks=checks,
            counts={"jobs": engine.job_states, "tasks": engine.task_states, "mails": people.outbox.counts},
        )
        yield Services(
            settings=settings,
            accounts=people.accounts,
            admission=people.admission,
            people=people.people,
            unconfirmed=people.unconfirmed,
            departures=people.departures,
            throttle=people.throttle,
            outbox=people.outbox,
            mailer=people.mailer,
            catalogue=catalogued.catalogue,
            listing=catalogued.listing,
            viewing=catalogued.viewing,
            leftovers=catalogued.leftovers,
            engine=engine,
            media=Media(settings.media_root, films, engine),
            uploads=Uploads(settings),
            outages=(ConnectionFailure, RedisConnectionError, RedisTimeoutError),
            checks=checks,
            metrics=metrics,
        )


def _mongo(settings: Settings) -> AsyncIOMotorClient[dict[str, Any]]:
    uri = settings.mongodb_uri.get_secret_value()
    try:
        return AsyncIOMotorClient(
            uri,
            serverSelectionTimeoutMS=_FIND_SERVER_MS,
            heartbeatFrequencyMS=_HEARTBEAT_MS,
            serverMonitoringMode="poll",
            connectTimeoutMS=_ANSWER_MS,
            socketTimeoutMS=_LONGEST_CALL_MS,
            tz_aware=True,
        )
    except (InvalidURI, ConfigurationError, ValueError):
        raise CommandError(_BAD_URL.format("MONGODB_URI", "mongodb://user:password@host:27017")) from None


def _redis(settings: Settings, retries: int) -> Redis:
    url = settings.redis_url.get_secret_value()
    try:
        retry = Retry(ExponentialWithJitterBackoff(cap=0.5), retries)
        return Redis.from_url(url, retry=retry, health_check_interval=15)
    except ValueError:
        raise CommandError(_BAD_URL.format("REDIS_URL", "redis://:password@host:6379/0")) from None


async def _require(answer: Any, what: str, variable: str) -> None:
    try:
        await answer
    except (OperationFailure, AuthenticationError) as error:
        _log.debug("refused server=%s error=%s", what, type(error).__name__)
        raise CommandError(f"{what} refuses: are user and password of {variable} right?") from None
    except (PyMongoError, RedisError, OSError) as error:
        _log.debug("unreachable server=%s error=%s", what, error)
        raise CommandError(f"{what} does not answer: is it running, and is {variable} right?") from None
