"""How often the calls that open accounts may be made, by client address and by account."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from videoflix.accounts.events import Event, log
from videoflix.errors import Throttled
from videoflix.gathering import Gathering

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_PATIENCE = 0.5  # seconds for Redis to answer
_TRUCE = 5.0  # seconds that nobody is counted after it did not
_MINUTE, _HOUR = 60, 3600
_AT_HOME = 30 * 24 * _HOUR  # seconds from a sign-in on, in which a client is no stranger to the account


class Call(StrEnum):
    """What is counted."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"
    RESEND = "resend"
    CONFIRM = "confirm"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class _Limits:
    """Attempts and seconds: of one client, of one client for one account, and of everybody for one account.

    The first is for a family, or a small office, behind one address; the second for somebody who tries a few passwords;
    the third for a guesser with many addresses, who must not keep the owner out: see `Throttle.forgive`.
    """

    address: tuple[int, int]
    pair: tuple[int, int] | None = None
    account: tuple[int, int] | None = None


_LIMITS = {
    Call.LOGIN: _Limits((100, 5 * _MINUTE), pair=(10, 5 * _MINUTE), account=(100, _HOUR)),
    Call.REGISTER: _Limits((30, _HOUR), account=(10, _HOUR)),
    Call.RESET: _Limits((30, _HOUR), account=(5, _HOUR)),
    Call.RESEND: _Limits((30, _HOUR), account=(5, _HOUR)),
    Call.CONFIRM: _Limits((60, _HOUR)),
    Call.REFRESH: _Limits((300, 5 * _MINUTE)),
}


class Throttle:
    """Counts on Redis, for all web processes together. Without Redis people get in, and the log says so.

    `factor` multiplies every limit; 0 counts nothing. `client` should not retry: nobody waits long for a count.
    """

    def __init__(self, client: Redis, factor: float = 1.0) -> None:
        self._redis = _Together(client.connection_pool)
        self._limiter = SlidingWindowCounterRateLimiter(_Storage(self._redis))
        self._factor = factor
        self._truce_until = 0.0

    async def count(self, call: Call, address: str, account: str = "") -> None:
        """Count an attempt. Raises Throttled when it is one too many."""
        for item, *key in self._items(call, address, account):
            if not await self._hit(item, *key) and not (key[0] == "account" and await self._is_home(address, account)):
                log(Event.TOO_MANY, call=call, by=key[0], client=address)
                raise Throttled(await self._wait(item, *key))

    async def forgive(self, call: Call, address: str, account: str) -> None:
        """What this client tried was its owner; what others do to the account does not shut this client out."""
        for item, *key in self._items(call, address, account):
            if key[0] == "pair":
                await self._asked(self._welcome(_home(address, account), item, *key), None)

    async def _welcome(self, home: str, item: RateLimitItem, *key: str) -> None:
        await asyncio.gather(self._limiter.clear(item, *key), self._redis.set(home, 1, ex=_AT_HOME))

    async def _is_home(self, address: str, account: str) -> bool:
        return bool(await self._asked(self._redis.exists(_home(address, account)), 1))

    def _items(self, call: Call, address: str, account: str) -> Iterable[tuple[RateLimitItem, str, str]]:
        if not self._factor:
            return
        limits, network, owner = _LIMITS[call], network_of(address), _digest(account)
        yield self._item(call, limits.address), "address", network
        if account and limits.pair:
            yield self._item(call, limits.pair), "pair", f"{owner} {network}"
        if account and limits.account:
            yield self._item(call, limits.account), "account", owner

    def _item(self, call: Call, limit: tuple[int, int]) -> RateLimitItem:
        attempts, seconds = limit
        return RateLimitItemPerSecond(max(1, round(attempts * self._factor)), seconds, namespace=call.value)

    async def _hit(self, item: RateLimitItem, *key: str) -> bool:
        return await self._asked(self._limiter.hit(item, *key), True)

    async def _wait(self, item: RateLimitItem, *key: str) -> int:
        now = time.time()
        window = await self._asked(self._limiter.get_window_stats(item, *key), (now, 0))
        return max(1, math.ceil(window[0] - now))

    async def _asked(self, question: Awaitable[Answer], otherwise: Answer) -> Answer:
        """What Redis answers, else `otherwise`."""
        if time.monotonic() < self._truce_until:
            _drop(question)
            return otherwise
        try:
            return await question
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("attempts not counted error=%s", error)
            self._truce_until = time.monotonic() + _TRUCE
            return otherwise


class _Storage(RedisStorage):
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


class _Together(Redis):
    """Commands of one moment travel in one pipeline."""

    def __init__(self, connection_pool: ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self._gathered: Gathering[tuple[Any, ...], Any] = Gathering(self._send)

    async def execute_command(self, *command: Any, **_: Any) -> Any:
        """Raises what Redis answers, and TimeoutError when it does not."""
        return await self._gathered(command)

    async def _send(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        async with asyncio.timeout(_PATIENCE), self.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address; the /64 of an IPv6 one, for a household has all of it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    mapped = ipaddress.IPv6Address(found).ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _digest(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:24]


def _home(address: str, account: str) -> str:
    return f"videoflix:home:{_digest(account)}:{network_of(address)}"


def _drop(question: Awaitable[object]) -> None:
    if asyncio.iscoroutine(question):
        question.close()
