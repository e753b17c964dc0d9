"""Limits on calls that give access to accounts, by client address and by account.

Guessing passwords is to be slow, and must not lock out the owner of the account:

* One address has few attempts, and fewer for one account. Addresses that one attacker often holds together (a /24 of
  IPv4, a /48 of IPv6) share some attempts per hour for one account, so no single network uses up those of everyone.
* Too many attempts of everyone for one account are not refused. They are queued, some seconds apart, before the
  password is checked: right and wrong ones alike. Delaying wrong ones alone would slow nobody down, since an attacker
  who gets no answer at once knows that the guess was wrong and makes the next. So an account under a distributed
  attack sees at most 1,800 guesses per hour and costs one argon2 hash every two seconds, however many clients attack,
  and its owner can log in from a new place with some patience. An attempt whose turn is too far away is refused, so
  few requests wait at a time.
* A client that has logged in before does not queue with strangers. Its address is remembered for some weeks, and its
  browser has a cookie that proves it (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). With the cookie
  it has attempts of its own, wherever it is and whoever else shares its address. The cookie is for one account and
  gives access to nothing. Setting a password by mail yields the cookie too: that is the way in for an owner at a new
  place whose account is attacked from so many networks that no turn is free.
* Requests for mails have no limit per account: see `auth.one_time_tokens`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool, Redis

from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.batching import Batcher
from videoflix.errors import Throttled
from videoflix.redis.breaker import CircuitBreaker
from videoflix.redis.patience import answer_within

_REDIS_TIMEOUT_S = 0.5
_MINUTE_S, _HOUR_S = 60, 3600
_TURN_INTERVAL_S = 2.0  # between two attempts of strangers for one account beyond its limit
_MAX_TURN_WAIT_S = 15.0  # clients give up after longer, and each one that waits holds a connection
_KNOWN_CLIENT_TTL_S = 30 * 24 * _HOUR_S  # how long a client is known to an account after a login
_DEVICE_NONCE_BYTES = 12


class LimitedAction(StrEnum):
    """The actions that are counted, each by itself."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"
    RESEND = "resend"
    CONFIRM = "confirm"
    REFRESH = "refresh"


class _Limit(NamedTuple):
    attempts: int
    window_s: int


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of an action.

    `address`: of one client; enough for a family or a small office behind one address.
    `address_and_account`: of one client for one account; against someone who tries a few passwords.
    `near`: of a neighbourhood of addresses for one account; against someone with a network.
    `account`: of everyone for one account; beyond it, strangers wait for their turn.
    """

    address: _Limit
    address_and_account: _Limit | None = None
    near: _Limit | None = None
    account: _Limit | None = None


_STRANGER_SCOPES = ("near", "account")  # these do not apply to a client that has logged in before

_DEVICE_LIMIT = _Limit(10, 5 * _MINUTE_S)  # of one browser that has logged in before
_LIMITS = {
    LimitedAction.LOGIN: _Limits(
        _Limit(100, 5 * _MINUTE_S),
        address_and_account=_Limit(10, 5 * _MINUTE_S),
        near=_Limit(30, _HOUR_S),
        account=_Limit(100, _HOUR_S),
    ),
    LimitedAction.REGISTER: _Limits(_Limit(30, _HOUR_S)),
    LimitedAction.RESET: _Limits(_Limit(30, _HOUR_S)),
    LimitedAction.RESEND: _Limits(_Limit(30, _HOUR_S)),
    LimitedAction.CONFIRM: _Limits(_Limit(60, _HOUR_S)),
    LimitedAction.REFRESH: _Limits(_Limit(300, 5 * _MINUTE_S)),
}


class _Counter(NamedTuple):
    """What one attempt counts against: a limit, and the scope and key of the count."""

    item: RateLimitItem
    scope: str
    key: str


# KEYS: the time at which the next turn of an account is free, in milliseconds of Redis's clock. ARGV: the interval of
# turns, and the longest wait, both in milliseconds. Returns the milliseconds to wait. A negative number means that the
# wait would be too long, and that no turn was taken.
_TAKE_TURN = """
local clock = redis.call('TIME')
local moment = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at = math.max(moment, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = at - moment
if wait > tonumber(ARGV[2]) then return -wait end
redis.call('SET', KEYS[1], string.format('%.0f', at + ARGV[1]), 'PX', string.format('%.0f', wait + ARGV[1] + 1000))
return wait
"""


class RateLimiter:
    """Counts attempts in Redis, for all web processes together. Without Redis nothing is limited, which is logged.

    `secret` signs the cookies of known browsers. `factor` multiplies every limit; 0 turns them off. `client` should not
    retry, so that no request waits long for a count.
    """

    def __init__(self, client: Redis, secret: str, factor: float = 1.0) -> None:
        self._secret = secret
        self._redis = _BatchingRedis(client.connection_pool)
        self._limiter = SlidingWindowCounterRateLimiter(_create_storage(self._redis))
        self._factor = factor
        self._breaker = CircuitBreaker("rate_limits")

    async def hit(self, action: LimitedAction, address: str, account: str = "", device: str = "") -> None:
        """Count an attempt, and return when its turn has come. Raises Throttled if it is one too many.

        `device` is a browser's cookie, made by `device_token`. One that is not valid for this account is ignored.
        """
        for counter in self._counters(action, address, account, device):
            if await self._count(counter):
                continue
            if counter.scope in _STRANGER_SCOPES and await self._is_known_client(address, account):
                continue
            log_event(SecurityEvent.RATE_LIMIT_EXCEEDED, action=action.value, limit=counter.scope, client=address)
            if counter.scope != "account":
                raise Throttled(await self._seconds_until_reset(counter))
            await self._take_turn(action, account)

    def device_token(self, account: str, device: str = "") -> str:
        """Return a token that proves that its holder has logged in to this account; `device` itself if it is valid."""
        if self._nonce(device, account):
            return device
        nonce = secrets.token_urlsafe(_DEVICE_NONCE_BYTES)
        return f"{nonce}.{self._signature(nonce, account)}"

    def _nonce(self, device: str, account: str) -> str:
        """Return what distinguishes this browser from others, or "" for a token that is not valid for this account."""
        nonce, _, signature = device.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(nonce, account).encode())
        return nonce if account and genuine else ""

    def _signature(self, nonce: str, account: str) -> str:
        text = f"device {_hash_account(account)} {nonce}"
        return hmac.new(self._secret.encode(), text.encode(), "sha256").hexdigest()

    async def _take_turn(self, action: LimitedAction, account: str) -> None:
        """Wait until strangers may try this account again. Raises Throttled if too many wait already."""
        key = f"videoflix:turn:{action.value}:{_hash_account(account)}"
        interval_ms, max_wait_ms = round(1000 * _TURN_INTERVAL_S / self._factor), round(1000 * _MAX_TURN_WAIT_S)
        wait_ms = await self._breaker.call(self._redis.eval(_TAKE_TURN, 1, key, interval_ms, max_wait_ms), 0)
        if wait_ms < 0:
            raise Throttled(math.ceil(-wait_ms / 1000))
        await asyncio.sleep(wait_ms / 1000)

    async def reset(self, action: LimitedAction, address: str, account: str, device: str = "") -> None:
        """Reset this client's limits after a successful login and remember it as a known client of the account."""
        counters = list(self._counters(action, address, account))
        if device:
            counters += self._counters(action, address, account, device)
        for counter in counters:
            if counter.scope in ("pair", "device"):
                await self._breaker.call(self._remember_client(_known_client_key(address, account), counter), None)

    async def _remember_client(self, client_key: str, counter: _Counter) -> None:
        await asyncio.gather(
            self._limiter.clear(counter.item, counter.scope, counter.key),
            self._redis.set(client_key, 1, ex=_KNOWN_CLIENT_TTL_S),
        )

    async def _is_known_client(self, address: str, account: str) -> bool:
        return bool(await self._breaker.call(self._redis.exists(_known_client_key(address, account)), 1))

    def _counters(self, action: LimitedAction, address: str, account: str, device: str = "") -> Iterable[_Counter]:
        if not self._factor:
            return
        limits, network, account_hash = _LIMITS[action], client_network(address), _hash_account(account)
        if limits.account and (nonce := self._nonce(device, account)):
            yield _Counter(self._to_item(action, _DEVICE_LIMIT), "device", f"{account_hash} {nonce}")
            return
        yield _Counter(self._to_item(action, limits.address), "address", network)
        if account and limits.address_and_account:
            yield _Counter(self._to_item(action, limits.address_and_account), "pair", f"{account_hash} {network}")
        if account and limits.near:
            yield _Counter(self._to_item(action, limits.near), "near", f"{account_hash} {neighbourhood_of(network)}")
        if account and limits.account:
            yield _Counter(self._to_item(action, limits.account), "account", account_hash)

    def _to_item(self, action: LimitedAction, limit: _Limit) -> RateLimitItem:
        attempts = max(1, round(limit.attempts * self._factor))
        return RateLimitItemPerSecond(attempts, limit.window_s, namespace=action.value)

    async def _count(self, counter: _Counter) -> bool:
        """Count an attempt unless the limit is exhausted; return whether it was within the limit."""
        return await self._breaker.call(self._limiter.hit(counter.item, counter.scope, counter.key), True)

    async def _seconds_until_reset(self, counter: _Counter) -> int:
        now = time.time()
        stats = self._limiter.get_window_stats(counter.item, counter.scope, counter.key)
        reset_time, _ = await self._breaker.call(stats, (now, 0))
        return max(1, math.ceil(reset_time - now))


def _create_storage(client: Redis) -> RedisStorage:
    """Return the library's storage, using this client.

    The library accepts a connection pool, but makes its own client for it, which would send each command by itself.
    """
    storage = RedisStorage(
        "redis://",
        implementation="redispy",
        key_prefix="videoflix:limits",
        connection_pool=client.connection_pool,  # type: ignore[arg-type]  # documented, but not typed
    )
    storage.bridge.connection_getter = lambda _: client  # type: ignore[attr-defined]  # only redis-py's bridge has it
    storage.bridge.register_scripts()  # again: scripts are bound to a client
    return storage


class _BatchingRedis(Redis):
    """Sends commands issued at the same time in one pipeline."""

    def __init__(self, connection_pool: ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self._batched_send: Batcher[tuple[Any, ...], Any] = Batcher(self._send_batch)

    async def execute_command(self, *command: Any, **_: Any) -> Any:
        """Return the reply to a command. Raises the reply if it is an error, and TimeoutError if none comes."""
        return await self._batched_send(command)

    async def _send_batch(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        return await answer_within(_REDIS_TIMEOUT_S, self._execute_pipeline(commands))

    async def _execute_pipeline(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        async with self.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)


def client_network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 one, which one household has."""
    try:
        ip_address = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if ip_address.version == 4:
        return str(ip_address)
    mapped = ipaddress.IPv6Address(ip_address).ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(ip_address) >> 64 << 64, 64)))


def neighbourhood_of(network: str) -> str:
    """Return what one owner often holds together: the /24 around an IPv4 address, the /48 around a /64 of IPv6."""
    try:
        ip_network = ipaddress.ip_network(network)
    except ValueError:
        return network
    return str(ip_network.supernet(new_prefix=24 if ip_network.version == 4 else 48))


def _hash_account(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:24]


def _known_client_key(address: str, account: str) -> str:
    return f"videoflix:home:{_hash_account(account)}:{client_network(address)}"
