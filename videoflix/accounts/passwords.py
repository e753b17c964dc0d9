"""Passwords: which are taken, and their argon2id hashes.

Hashes are computed on a small pool of threads, so that the event loop never waits for one. argon2 lets go of Python's
lock while it works; the pool's size bounds the memory that it takes, and those that wait cost next to nothing.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

from videoflix.errors import Unavailable

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = (
    8,
    4096,
)  # characters; NIST SP 800-63B asks for at least 8 and for no low upper limit
_COMMON_PASSWORDS = frozenset(
    FREQUENCY_LISTS["passwords"]
)  # the 30,000 most frequent ones of what was leaked, in lower case
# Characters. Unicode's sorting of accents takes a second for 8,000 of them and minutes for a megabyte.
_MAX_NORMALIZED_LENGTH = 1000
_HASHING_NICENESS = 5  # below everything that a viewer waits for


@dataclass(frozen=True, slots=True)
class HashCost:
    """What a hash costs. OWASP's Password Storage Cheat Sheet: at least 19 MiB, 2 iterations, 1 lane."""

    memory_mib: int = 19
    iterations: int = 2
    parallelism: int = 1


def find_password_problems(password: str, email: str = "") -> Iterable[str]:
    """What speaks against it, as sentences; none when it is taken."""
    if len(password) < MIN_PASSWORD_LENGTH:
        yield f"This password is too short. It must contain at least {MIN_PASSWORD_LENGTH} characters."
    if len(password) > MAX_PASSWORD_LENGTH:
        yield f"Ensure this field has no more than {MAX_PASSWORD_LENGTH} characters."
    if password.lower() in _COMMON_PASSWORDS:
        yield "This password is too common."
    if email and password.lower() in (email, email.partition("@")[0]):
        yield "The password is too similar to the email address."


class Passwords:
    """Hash and verify; `threads` of them at once, of which `most_waiting` more may wait their turn."""

    def __init__(self, cost: HashCost = HashCost(), threads: int = 2, max_waiting: int = 500) -> None:  # frozen
        self._hasher = PasswordHasher(
            time_cost=cost.iterations, memory_cost=cost.memory_mib * 1024, parallelism=cost.parallelism
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_lower_thread_priority)
        self._max_pending = threads + max_waiting
        self._pending_count = 0
        self._dummy_hash = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """The encoded hash, parameters and salt included. Raises Unavailable."""
        return await self._run(self._hasher.hash, _normalize(password))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the password. None (there is no such user) and "" take the same time and are False.

        Raises Unavailable: so many wait already that this one would wait too long.
        """
        try:
            matches = await self._run(self._hasher.verify, encoded or self._dummy_hash, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(matches) and bool(encoded)

    def is_outdated(self, encoded: str) -> bool:
        """Whether it was made with other parameters than those of today."""
        return _parse_parameters(encoded) != _parse_parameters(self._dummy_hash)

    def close(self) -> None:
        """Wait for what is running and end the threads."""
        self._executor.shutdown(cancel_futures=True)

    async def _run(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        if self._pending_count >= self._max_pending:
            raise Unavailable("Too many people sign in at this moment.", 5)
        self._pending_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
        finally:
            self._pending_count -= 1


def _normalize(password: str) -> str:
    """One text for what keyboards and systems write differently, like an accent (NIST SP 800-63B, 5.1.1.2).

    On the event loop, and with Python's lock: what is longer than anything that people type stays as it is.
    """
    if password.isascii() or len(password) > _MAX_NORMALIZED_LENGTH:
        return password
    return unicodedata.normalize("NFKC", password)


def _parse_parameters(encoded: str) -> tuple[object, ...]:
    """Everything but salt and digest, of which the lengths; argon2-cffi takes ten times as long to take it apart."""
    *cost, salt, digest = encoded.split("$")
    return *cost, len(salt), len(digest)


def _lower_thread_priority() -> None:
    """On Linux niceness belongs to a thread: a storm of logins leaves the processor to the event loop."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _HASHING_NICENESS)
