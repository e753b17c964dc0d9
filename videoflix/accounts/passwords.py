"""Which passwords are accepted, and their argon2id hashes.

Hashes are computed in a small thread pool, so the event loop never waits for one. argon2 releases the GIL while it
works. The size of the pool bounds the memory used; waiting calls take next to none.
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

# Characters. NIST SP 800-63B, section 5.1.1.2, requires a minimum of 8 and asks for no low maximum.
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 8, 4096
_COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])  # the 30,000 most frequent leaked ones, in lower case
# Characters. Normalizing 8,000 combining accents takes a second, and a megabyte of them takes minutes.
_MAX_NORMALIZED_LENGTH = 1000
_HASHING_NICENESS = 5  # below everything that a viewer waits for
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class HashCost:
    """The cost of a hash. OWASP's Password Storage Cheat Sheet: at least 19 MiB, 2 iterations, 1 lane."""

    memory_mib: int = 19
    iterations: int = 2
    parallelism: int = 1


def find_password_problems(password: str, email: str = "") -> Iterable[str]:
    """Return why a password is not acceptable, as sentences; none if it is."""
    if len(password) < MIN_PASSWORD_LENGTH:
        yield f"This password is too short. It must contain at least {MIN_PASSWORD_LENGTH} characters."
    if len(password) > MAX_PASSWORD_LENGTH:
        yield f"Ensure this field has no more than {MAX_PASSWORD_LENGTH} characters."
    if password.lower() in _COMMON_PASSWORDS:
        yield "This password is too common."
    if email and password.lower() in (email, email.partition("@")[0]):
        yield "The password is too similar to the email address."


class Passwords:
    """Hashes and verifies passwords: up to `threads` at a time, while up to `max_waiting` more calls wait."""

    def __init__(self, cost: HashCost = HashCost(), threads: int = 2, max_waiting: int = 500) -> None:  # frozen
        self._hasher = PasswordHasher(
            time_cost=cost.iterations, memory_cost=cost.memory_mib * 1024, parallelism=cost.parallelism
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_lower_thread_priority)
        self._max_pending = threads + max_waiting
        self._pending_count = 0
        self._dummy_hash = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the encoded hash, with parameters and salt. Raises Unavailable if too many calls wait already."""
        return await self._run(self._hasher.hash, _normalize(password))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Return whether this is the password of an encoded hash.

        None (there is no such user) and "" (the user has no password) take the same time and return False. Raises
        Unavailable if too many calls wait already.
        """
        try:
            matches = await self._run(self._hasher.verify, encoded or self._dummy_hash, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(matches) and bool(encoded)

    def is_outdated(self, encoded: str) -> bool:
        """Return whether a hash was made with parameters other than the current ones."""
        return _parse_parameters(encoded) != _parse_parameters(self._dummy_hash)

    def close(self) -> None:
        """Wait for running hashes, cancel waiting ones and end the threads."""
        self._executor.shutdown(cancel_futures=True)

    async def _run(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        if self._pending_count >= self._max_pending:
            raise Unavailable("Too many sign-ins right now. Try again shortly.", _RETRY_AFTER_S)
        self._pending_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
        finally:
            self._pending_count -= 1


def _normalize(password: str) -> str:
    """Return the one form of characters that keyboards and systems encode differently, such as accents.

    See NIST SP 800-63B, section 5.1.1.2. This runs on the event loop and holds the GIL, so a text longer than anything
    that people type is returned as it is.
    """
    if password.isascii() or len(password) > _MAX_NORMALIZED_LENGTH:
        return password
    return unicodedata.normalize("NFKC", password)


def _parse_parameters(encoded: str) -> tuple[object, ...]:
    """Return the parameters of a hash, with the lengths of salt and digest.

    argon2-cffi's own parser takes ten times as long.
    """
    *cost, salt, digest = encoded.split("$")
    return *cost, len(salt), len(digest)


def _lower_thread_priority() -> None:
    """Lower the priority of this thread, so that a storm of logins leaves the processor to the event loop.

    On Linux niceness belongs to a thread.
    """
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _HASHING_NICENESS)
