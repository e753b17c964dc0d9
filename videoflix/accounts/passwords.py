"""Passwords as argon2id hashes, computed on a small pool of threads so that the event loop never waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

Given = TypeVarTuple("Given")
Result = TypeVar("Result")

# OWASP's Password Storage Cheat Sheet: argon2id with at least 19 MiB, 2 iterations, 1 degree of parallelism.
_MEMORY_KIB, _ITERATIONS, _LANES = 19 * 1024, 2, 1


class Passwords:
    """Hash and verify. Each hash takes 19 MiB while it is computed: `threads` bounds how many there are."""

    def __init__(self, threads: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=_ITERATIONS, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._nobody = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """The encoded hash, parameters and salt included."""
        return await self._run(self._hasher.hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the password. None (there is no such user) takes the same time and is False."""
        try:
            matches = await self._run(self._hasher.verify, encoded or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(matches) and encoded is not None

    def close(self) -> None:
        """Wait for what is running and end the threads."""
        self._threads.shutdown()

    async def _run(self, function: Callable[[*Given], Result], *given: *Given) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)
