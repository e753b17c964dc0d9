"""How often the calls that open accounts may be made, by client address and by account.

Who guesses passwords is to be slowed, and the owner of the account is not to be kept out by it:

* One address has few attempts, and few for one account. Addresses that one attacker usually has together (a /24 of
  IPv4, a /48 of IPv6) share some attempts an hour for one account: no single network uses up those of everybody.
* Attempts of everybody for one account are not refused when they are many. They have to wait their turn instead, some
  seconds apart, before the password is looked at: right and wrong ones alike. To delay wrong ones alone would slow
  nobody, for whoever gets no answer at once knows that it was wrong and asks the next. So an account under attack from
  everywhere takes at most 1,800 guesses an hour and costs one argon2 hash every two seconds, however many ask, and its
  owner gets in from a new place with some patience. A turn that is too far away is refused: few requests ever wait.
* A client that has signed in before does not wait with strangers: its address is remembered for some weeks, and its
  browser has a cookie that proves it (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"), with which it
  has attempts of its own, wherever it is and whoever else is at its address. The cookie is for one account and opens
  nothing. Whoever sets a password by mail gets it too: that is the way in for an owner at a new place whose account is
  under attack from so many networks that no turn is to be had.
* Mails are asked for without a limit for the account: see `links`.
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
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool, Redis

from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.batching import Batcher
from videoflix.errors import Throttled
from videoflix.redis.breaker import CircuitBreaker

_REDIS_TIMEOUT_S = 0.5  # seconds for Redis to answer
_MINUTE_S, _HOUR_S = 60, 3600
_TURN_S = 2.0  # between two attempts for an account that many try to open
_LONGEST_TURN_S = 15.0  # what is further away is refused: clients give up, and connections are held meanwhile
_DEVICE = (10, 5 * _MINUTE_S)  # attempts and seconds of a browser that has signed in before
_KNOWN_CLIENT_TTL_S = 30 * 24 * _HOUR_S  # seconds from a sign-in on, in which a client is no stranger to the account


class LimitedAction(StrEnum):
    """What is counted."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"
    RESEND = "resend"
    CONFIRM = "confirm"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class _Limits:
    """Attempts and seconds: of one client, of one client and of one neighbourhood for one account, and of everybody for
    one account.

    The first is for a family, or a small office, behind one address; the second for somebody who tries a few passwords;
    the third for somebody with a network; after the last strangers wait their turn.
    """

    address: tuple[int, int]
    address_and_account: tuple[int, int] | None = None
    near: tuple[int, int] | None = None
    account: tuple[int, int] | None = None


_STRANGERS = ("near", "account")  # what does not count for a client that has signed in before

_LIMITS = {
    LimitedAction.LOGIN: _Limits(
        (100, 5 * _MINUTE_S), address_and_account=(10, 5 * _MINUTE_S), near=(30, _HOUR_S), account=(100, _HOUR_S)
    ),
    LimitedAction.REGISTER: _Limits((30, _HOUR_S)),
    LimitedAction.RESET: _Limits((30, _HOUR_S)),
    LimitedAction.RESEND: _Limits((30, _HOUR_S)),
    LimitedAction.CONFIRM: _Limits((60, _HOUR_S)),
    LimitedAction.REFRESH: _Limits((300, 5 * _MINUTE_S)),
}


# KEYS: when the next turn of an account is free, in milliseconds of Redis's clock. ARGV: milliseconds of a turn, and
# of the longest wait. Returns the milliseconds to wait; below zero, and takes no turn, when that would be longer.
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
    """Counts on Redis, for all web processes together. Without Redis people get in, and the log says so.

    `secret` signs the cookies of known browsers. `factor` multiplies every limit; 0 counts nothing. `client` should not
    retry: nobody waits long for a count.
    """

    def __init__(self, client: Redis, secret: str, factor: float = 1.0) -> None:
        self._secret = secret
        self._redis = _BatchingRedis(client.connection_pool)
        self._limiter = SlidingWindowCounterRateLimiter(_LimitStorage(self._redis))
        self._factor = factor
        self._breaker = CircuitBreaker("rate_limits")

    async def hit(self, action: LimitedAction, address: str, account: str = "", device: str = "") -> None:
        """Count an attempt, and return when it is its turn. Raises Throttled when it is one too many.

        `device`: the cookie of a browser, from `device_token`; one that is not for this account counts as none.
        """
        for item, *key in self._limit_items(action, address, account, device):
            if await self._hit_limit(item, *key) or (
                key[0] in _STRANGERS and await self._is_known_client(address, account)
            ):
                continue
            log_event(SecurityEvent.RATE_LIMIT_EXCEEDED, call=action, by=key[0], client=address)
            if key[0] != "account":
                raise Throttled(await self._seconds_until_reset(item, *key))
            await self._take_turn(action, account)

    def device_token(self, account: str, device: str = "") -> str:
        """Return a token that proves that its holder has opened this account before; the same one if it is such."""
        if self._nonce(device, account):
            return device
        nonce = secrets.token_urlsafe(12)
        return f"{nonce}.{self._signature(nonce, account)}"

    def _nonce(self, device: str, account: str) -> str:
        """Return what tells this browser from others; nothing for a token that is not for this account."""
        nonce, _, signature = device.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(nonce, account).encode())
        return nonce if account and genuine else ""

    def _signature(self, nonce: str, account: str) -> str:
        text = f"device {_hash_account(account)} {nonce}"
        return hmac.new(self._secret.encode(), text.encode(), "sha256").hexdigest()

    async def _take_turn(self, call: LimitedAction, account: str) -> None:
        """Wait until strangers may try this account again. Raises Throttled when too many wait already."""
        key, milliseconds = f"videoflix:turn:{call.value}:{_hash_account(account)}", 1000 * _TURN_S / self._factor
        taken = self._redis.eval(_TAKE_TURN, 1, key, round(milliseconds), round(1000 * _LONGEST_TURN_S))
        wait = await self._breaker.call(taken, 0)
        if wait < 0:
            raise Throttled(math.ceil(-wait / 1000))
        await asyncio.sleep(wait / 1000)

    async def reset(self, action: LimitedAction, address: str, account: str, device: str = "") -> None:
        """What this client tried was its owner; what others do to the account does not shut this client out."""
        for item, *key in [
            *self._limit_items(action, address, account),
            *self._limit_items(action, address, account, device),
        ]:
            if key[0] in ("pair", "device"):
                await self._breaker.call(self._remember_client(_known_client_key(address, account), item, *key), None)

    async def _remember_client(self, client_key: str, item: RateLimitItem, *key: str) -> None:
        await asyncio.gather(self._limiter.clear(item, *key), self._redis.set(client_key, 1, ex=_KNOWN_CLIENT_TTL_S))

    async def _is_known_client(self, address: str, account: str) -> bool:
        return bool(await self._breaker.call(self._redis.exists(_known_client_key(address, account)), 1))

    def _limit_items(
        self, action: LimitedAction, address: str, account: str, device: str = ""
    ) -> Iterable[tuple[RateLimitItem, str, str]]:
        if not self._factor:
            return
        limits, network, owner = _LIMITS[action], client_network(address), _hash_account(account)
        if limits.account and (nonce := self._nonce(device, account)):
            yield self._make_limit_item(action, _DEVICE), "device", f"{owner} {nonce}"
            return
        yield self._make_limit_item(action, limits.address), "address", network
        if account and limits.address_and_account:
            yield self._make_limit_item(action, limits.address_and_account), "pair", f"{owner} {network}"
        if account and limits.near:
            yield self._make_limit_item(action, limits.near), "near", f"{owner} {neighbourhood_of(network)}"
        if account and limits.account:
            yield self._make_limit_item(action, limits.account), "account", owner

    def _make_limit_item(self, action: LimitedAction, limit: tuple[int, int]) -> RateLimitItem:
        attempts, seconds = limit
        return RateLimitItemPerSecond(max(1, round(attempts * self._factor)), seconds, namespace=action.value)

    async def _hit_limit(self, item: RateLimitItem, *key: str) -> bool:
        return await self._breaker.call(self._limiter.hit(item, *key), True)

    async def _seconds_until_reset(self, item: RateLimitItem, *key: str) -> int:
        now = time.time()
        window = await self._breaker.call(self._limiter.get_window_stats(item, *key), (now, 0))
        return max(1, math.ceil(window[0] - now))


class _LimitStorage(RedisStorage):
    """The library's own, over a client of ours."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        super().__init__("redis://", implementation="redispy", key_prefix="videoflix:limits")

    def configure_bridge(self) -> None:
        """Called by the library; it registers its scripts after that."""
        self.bridge.use_basic()
        self.bridge.connection_getter = lambda _: self._client  # type: ignore[attr-defined]  # all but coredis' have it

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Both of its keys at once; the library's deletes one by one."""
        names = self._previous_window_key(key), self._current_window_key(key)
        await self._client.delete(*(self.bridge.prefixed_key(name) for name in names))


class _BatchingRedis(Redis):
    """Commands of one moment travel in one pipeline."""

    def __init__(self, connection_pool: ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self._batched_send: Batcher[tuple[Any, ...], Any] = Batcher(self._send_batch)

    async def execute_command(self, *command: Any, **_: Any) -> Any:
        """Raises what Redis answers, and TimeoutError when it does not."""
        return await self._batched_send(command)

    async def _send_batch(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        async with asyncio.timeout(_REDIS_TIMEOUT_S), self.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)


def client_network(address: str) -> str:
    """What counts as one client: an IPv4 address; the /64 of an IPv6 one, for a household has all of it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    mapped = ipaddress.IPv6Address(found).ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def neighbourhood_of(network: str) -> str:
    """Return what one owner often has together: the /24 around an IPv4 address, the /48 around a /64 of IPv6."""
    try:
        found = ipaddress.ip_network(network)
    except ValueError:
        return network
    return str(found.supernet(new_prefix=24 if found.version == 4 else 48))


def _hash_account(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:24]


def _known_client_key(address: str, account: str) -> str:
    return f"videoflix:home:{_hash_account(account)}:{client_network(address)}"
