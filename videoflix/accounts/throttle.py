"""How often the calls that open accounts may be made, by client address and by account."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Iterable
from enum import StrEnum
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from videoflix.accounts.events import Event, log
from videoflix.errors import Throttled

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_PATIENCE = 0.5  # seconds for Redis to answer
_TRUCE = 5.0  # seconds that nobody is counted after it did not
_MINUTE, _HOUR = 60, 3600


class Call(StrEnum):
    """What is counted."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"
    RESEND = "resend"
    CONFIRM = "confirm"
    REFRESH = "refresh"


# Attempts and seconds, by client address and by account. By address they are for a family, or a small office, behind
# one; by account for somebody who tries a few passwords. A right password sets the account's count to zero.
_LIMITS: dict[Call, tuple[tuple[int, int], tuple[int, int] | None]] = {
    Call.LOGIN: ((100, 5 * _MINUTE), (10, 5 * _MINUTE)),
    Call.REGISTER: ((30, _HOUR), (10, _HOUR)),
    Call.RESET: ((30, _HOUR), (5, _HOUR)),
    Call.RESEND: ((30, _HOUR), (5, _HOUR)),
    Call.CONFIRM: ((60, _HOUR), None),
    Call.REFRESH: ((300, 5 * _MINUTE), None),
}


class Throttle:
    """Counts on Redis, for all web processes together. Without Redis people get in, and the log says so.

    `factor` multiplies every limit; 0 counts nothing. `client` should not retry: nobody waits long for a count.
    """

    def __init__(self, client: Redis, factor: float = 1.0) -> None:
        storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix="videoflix:limits",
            connection_pool=client.connection_pool,  # type: ignore[arg-type]  # documented, and typed too narrowly
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._factor = factor
        self._truce_until = 0.0

    async def count(self, call: Call, address: str, account: str = "") -> None:
        """Count an attempt. Raises Throttled when it is one too many."""
        for item, *key in self._items(call, address, account):
            if not await self._hit(item, *key):
                log(Event.TOO_MANY, call=call, by=key[0], client=address)
                raise Throttled(await self._wait(item, *key))

    async def forgive(self, call: Call, account: str) -> None:
        """What was counted for this account was its owner."""
        for item, *key in self._items(call, "", account):
            if key[0] == "account":
                await self._asked(self._limiter.clear(item, *key), None)

    def _items(self, call: Call, address: str, account: str) -> Iterable[tuple[RateLimitItem, str, str]]:
        if not self._factor:
            return
        by_address, by_account = _LIMITS[call]
        if address:
            yield self._item(call, by_address), "address", network_of(address)
        if account and by_account:
            yield self._item(call, by_account), "account", hashlib.sha256(account.encode()).hexdigest()[:24]

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
            async with asyncio.timeout(_PATIENCE):
                return await question
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("attempts not counted error=%s", error)
            self._truce_until = time.monotonic() + _TRUCE
            return otherwise


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


def _drop(question: Awaitable[object]) -> None:
    if asyncio.iscoroutine(question):
        question.close()
