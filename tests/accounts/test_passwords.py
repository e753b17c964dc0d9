"""Password hashes: their cost, their renewal, and hashing off the event loop."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from videoflix.accounts.passwords import HashCost, Passwords
from videoflix.bootstrap.services import open_services
from videoflix.errors import Unavailable
from videoflix.settings import Settings

CHEAP = HashCost(memory_mib=8, iterations=1)
ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"


async def test_a_hash_is_argon2id_with_the_configured_cost() -> None:
    passwords = Passwords(HashCost(memory_mib=9, iterations=2, parallelism=1), threads=1)
    encoded = await passwords.hash(PASSWORD)
    assert encoded.startswith("$argon2id$v=19$m=9216,t=2,p=1$")
    assert await passwords.verify(encoded, PASSWORD)
    assert not await passwords.verify(encoded, PASSWORD + " ")
    assert not await passwords.verify(None, "the password of nobody")
    assert not await passwords.verify("", "the password of nobody")
    assert not await passwords.verify("no hash at all", PASSWORD)
    passwords.close()


async def test_a_storm_is_hashed_a_few_at_a_time_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP, threads=2, max_waiting=30)
    running, peak, lock = 0, 0, threading.Lock()
    hasher = passwords._hasher

    def hash_counted(password: str) -> str:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        try:
            return hasher.hash(password)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(hash=hash_counted))
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    busy = asyncio.create_task(count_turns())
    results = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(60)), return_exceptions=True)
    busy.cancel()
    assert peak == 2
    assert sum(isinstance(result, Unavailable) for result in results) == 60 - 32
    assert turns > 100
    assert await passwords.hash(PASSWORD)  # there is capacity again
    passwords.close()


async def test_an_accent_matches_however_a_keyboard_encodes_it() -> None:
    passwords = Passwords(CHEAP)
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au lait"
    assert await passwords.verify(await passwords.hash(composed), decomposed)
    assert await passwords.verify(await passwords.hash(decomposed), composed)
    assert not await passwords.verify(await passwords.hash(composed), "cafe au lait")
    # Normalizing so many accents would block the whole process, for minutes if they are a megabyte.
    assert not await passwords.verify(await passwords.hash(500 * composed), 500 * decomposed)
    assert not await passwords.verify(None, "e" + "\u0301\u0316" * 200_000)
    passwords.close()


async def test_a_hash_is_renewed_at_login_when_the_cost_rises(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        old = (await services.user_admin.get(1)).password_hash
    async with open_services(settings.model_copy(update={"password_memory_mib": 19})) as services:
        signed_in = await services.accounts.log_in(ADDRESS, PASSWORD)
        new = (await services.user_admin.get(1)).password_hash
        assert (old.split("$")[3], new.split("$")[3]) == ("m=8192,t=1,p=1", "m=19456,t=1,p=1")
        services.token_verifier.verify_access_token(signed_in.tokens.access_token)
        await services.accounts.log_in(ADDRESS, PASSWORD)
        assert (await services.user_admin.get(1)).password_hash == new


async def test_making_the_same_admin_again_ends_no_session(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        signed_in = await services.accounts.log_in(ADDRESS, PASSWORD)
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        services.token_verifier.verify_access_token(signed_in.tokens.access_token)
        user = await services.accounts.register("viewer2@example.org", PASSWORD)
        promoted = await services.accounts.make_admin("viewer2@example.org", "another horse battery")
        assert (promoted.id, promoted.is_admin, promoted.is_active) == (user.id, True, True)
