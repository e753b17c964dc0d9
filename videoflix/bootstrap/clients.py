"""Connections to the database and to Redis, and how long they wait."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.errors import is_outage

_log = logging.getLogger(__name__)

# What the driver says is not told: it may hold a part of the password.
_INVALID_URL_MESSAGE = (
    "{} is not valid: it should look like {}; special characters of a password are written as %40 and so on."
)
# Milliseconds. The driver asks the database all the time whether it lives, and breaks off what waits for one that does
# not answer; that alone would not be noticed before each call's own limit, which is long, for some work is.
_HEARTBEAT_INTERVAL_MS, _CONNECT_TIMEOUT_MS, _SOCKET_TIMEOUT_MS = 1000, 3000, 20_000
_SERVER_SELECTION_TIMEOUT_MS = 2000  # that a call looks for a database that is known to be away
# What is answered with success is in the journal on the disk, of most members where there are several: a MongoDB that
# stands alone would acknowledge from memory, and a kill cost the last 100 ms. Who wants less says so in the URI.
DURABLE_WRITE_CONCERN = WriteConcern("majority", j=True)


@dataclass(frozen=True, slots=True)
class Clients:
    """Open connections to the two servers. `channel` does not reconnect silently: a gap in its messages is an error."""

    database: AsyncIOMotorDatabase[dict[str, Any]]
    redis: Redis
    fail_fast_redis: Redis


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[AsyncIOMotorDatabase[dict[str, Any]]]:
    """The database, known to answer. Raises CommandError that names the variable when it does not."""
    mongo = _make_mongo_client(settings)
    try:
        await _require_reachable(mongo.admin.command("ping"), "The database", "MONGODB_URI")
        asked = mongo.write_concern if not mongo.write_concern.is_server_default else DURABLE_WRITE_CONCERN
        yield mongo.get_database(settings.mongodb_db, write_concern=asked)
    finally:
        mongo.close()


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Both clients, known to answer. Raises CommandError that names the variable of the one that does not."""
    async with open_database(settings) as database:
        redis = _make_redis_client(settings, retries=3)
        channel = _make_redis_client(settings, retries=0)
        try:
            await _require_reachable(redis.ping(), "Redis", "REDIS_URL")
            yield Clients(database, redis, channel)
        finally:
            await channel.aclose()
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
        _log.debug("refused server=%s error=%s", server_name, type(error).__name__)
        raise CommandError(f"{server_name} refuses: are user and password of {variable} right?") from None
    except (PyMongoError, RedisError, OSError) as error:
        _log.debug("unreachable server=%s error=%s", server_name, error)
        raise CommandError(f"{server_name} does not answer: is it running, and is {variable} right?") from None


def is_server_outage(error: BaseException) -> bool:
    """Whether a server is to blame, and the same call may be repeated later."""
    return isinstance(error, RedisConnectionError | RedisTimeoutError) or is_outage(error)
