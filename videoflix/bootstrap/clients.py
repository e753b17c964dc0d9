"""Connections to the database and to Redis, and how long they wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from transcode import LedgerUnavailable
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.errors import is_outage

_log = structlog.get_logger(__name__)

# The driver's own message is left out, because it may contain a part of the password.
_INVALID_URL_MESSAGE = (
    "{} is not valid: it should look like {}; write special characters in the password as %40 and so on."
)
# Milliseconds. The driver polls the database and aborts calls that wait for a server that does not answer. Without
# that, an outage would go unnoticed until the timeout of the call itself, which is long because some calls are slow.
_HEARTBEAT_INTERVAL_MS, _CONNECT_TIMEOUT_MS, _SOCKET_TIMEOUT_MS = 1000, 3000, 20_000
_SERVER_SELECTION_TIMEOUT_MS = 2000  # how long a call waits for a database that is known to be unavailable
# Acknowledged writes are in the journal on disk, on most members of a replica set. By default a standalone MongoDB
# acknowledges from memory, and killing it lost the last 100 ms. The URI may ask for less.
DURABLE_WRITE_CONCERN = WriteConcern("majority", j=True)


@dataclass(frozen=True, slots=True)
class Clients:
    """Open connections to both servers. `fail_fast_redis` never retries: every failure is an error at once."""

    database: AsyncIOMotorDatabase[dict[str, Any]]
    redis: Redis
    fail_fast_redis: Redis


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[AsyncIOMotorDatabase[dict[str, Any]]]:
    """Open the database. Raises CommandError that names the setting if the server does not answer."""
    mongo = _make_mongo_client(settings)
    try:
        await _require_reachable(mongo.admin.command("ping"), "The database", "MONGODB_URI")
        concern = DURABLE_WRITE_CONCERN if mongo.write_concern.is_server_default else mongo.write_concern
        yield mongo.get_database(settings.mongodb_db, write_concern=concern)
    finally:
        mongo.close()


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Open the clients of both servers. Raises CommandError that names the setting of one that does not answer."""
    async with open_database(settings) as database:
        redis = _make_redis_client(settings, retries=3)
        fail_fast_redis = _make_redis_client(settings, retries=0)
        try:
            await _require_reachable(redis.ping(), "Redis", "REDIS_URL")
            yield Clients(database, redis, fail_fast_redis)
        finally:
            await fail_fast_redis.aclose()
            await redis.aclose()


def _make_mongo_client(settings: Settings) -> AsyncIOMotorClient[dict[str, Any]]:
    uri = settings.mongodb_uri.get_secret_value()
    try:
        return AsyncIOMotorClient(
            uri,
            serverSelectionTimeoutMS=_SERVER_SELECTION_TIMEOUT_MS,
            heartbeatFrequencyMS=_HEARTBEAT_INTERVAL_MS,
            serverMonitoringMode="poll",
            connectTimeoutMS=_CONNECT_TIMEOUT_MS,
            socketTimeoutMS=_SOCKET_TIMEOUT_MS,
            tz_aware=True,
        )
    except (InvalidURI, ConfigurationError, ValueError):
        raise CommandError(_INVALID_URL_MESSAGE.format("MONGODB_URI", "mongodb://user:password@host:27017")) from None


def _make_redis_client(settings: Settings, retries: int) -> Redis:
    url = settings.redis_url.get_secret_value()
    try:
        retry = Retry(ExponentialWithJitterBackoff(cap=0.5), retries)
        return Redis.from_url(url, retry=retry, health_check_interval=15)
    except ValueError:
        raise CommandError(_INVALID_URL_MESSAGE.format("REDIS_URL", "redis://:password@host:6379/0")) from None


async def _require_reachable(ping: Any, server_name: str, variable: str) -> None:
    try:
        await ping
    except (OperationFailure, AuthenticationError) as error:
        _log.debug("server_login_failed", server=server_name, error=type(error).__name__)
        raise CommandError(f"{server_name} refuses: are user and password of {variable} right?") from None
    except (PyMongoError, RedisError, OSError) as error:
        _log.debug("server_unreachable", server=server_name, error=str(error))
        raise CommandError(f"{server_name} does not answer: is it running, and is {variable} right?") from None


def is_server_outage(error: BaseException) -> bool:
    """Return whether a server is unavailable, so that the same call may succeed later."""
    return isinstance(error, RedisConnectionError | RedisTimeoutError | LedgerUnavailable) or is_outage(error)
