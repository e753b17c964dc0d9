"""Accounts and their mail: stores, services and what runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from redis.asyncio import Redis

from videoflix.accounts.account_mails import AccountMailComposer
from videoflix.accounts.maintenance import AccountPurge, UnconfirmedAccounts
from videoflix.accounts.passwords import HashCost, Passwords
from videoflix.accounts.rate_limits import RateLimiter
from videoflix.accounts.service import Accounts, UserDataEraser
from videoflix.accounts.user_admin import UserAdmin
from videoflix.auth.one_time_tokens import OneTimeTokens
from videoflix.auth.playback_tokens import PlaybackTokens
from videoflix.auth.revocations import Revocations
from videoflix.auth.sessions import Sessions
from videoflix.auth.tokens import Tokens
from videoflix.auth.verifier import TokenVerifier
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.mail.renderer import MailRenderer
from videoflix.mail.transport import make_transport
from videoflix.settings import Settings
from videoflix.stores.counters import CounterStore
from videoflix.stores.one_time_tokens import OneTimeTokenStore
from videoflix.stores.outbox import OutboxStore
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What handlers and commands get of it."""

    accounts: Accounts
    token_verifier: TokenVerifier
    user_admin: UserAdmin
    unconfirmed_accounts: UnconfirmedAccounts
    account_purge: AccountPurge
    rate_limiter: RateLimiter
    outbox: Outbox
    mailer: Mailer


@asynccontextmanager
async def open_accounts(
    settings: Settings,
    database: AsyncIOMotorDatabase[dict[str, Any]],
    fail_fast_redis: Redis,
    users: UserStore,
    erasers: Sequence[UserDataEraser],
) -> AsyncIterator[AccountServices]:
    """In step with the other processes for as long as the block lasts. `channel` must not reconnect silently."""
    session_store, link_store, outbox_store = SessionStore(database), OneTimeTokenStore(database), OutboxStore(database)
    await asyncio.gather(*(store.create_indexes() for store in (users, session_store, link_store, outbox_store)))
    secret = settings.secret_key.get_secret_value()
    tokens = Tokens(secret, settings.access_token_minutes * 60)
    playback = PlaybackTokens(secret, settings.playback_token_hours * 3600)
    revocations = Revocations(
        fail_fast_redis, session_store.list_ended_since, max(tokens.lifetime_s, playback.lifetime_s)
    )
    sessions = Sessions(session_store, users, tokens, revocations, lifetime=timedelta(days=settings.refresh_token_days))
    links, outbox = OneTimeTokens(link_store), Outbox(outbox_store)
    letters = AccountMailComposer(users, links, MailRenderer(settings.email_from), settings)
    with closing(Passwords(_hash_cost(settings), settings.hashing_threads)) as passwords:
        counters = CounterStore(database)
        accounts = Accounts(users, counters, sessions, links, outbox, passwords, tokens, revocations, erasers=erasers)
        async with revocations.run_in_background():
            yield AccountServices(
                accounts=accounts,
                token_verifier=TokenVerifier(tokens.identify, playback, revocations),
                user_admin=UserAdmin(users, accounts),
                unconfirmed_accounts=UnconfirmedAccounts(users, links, outbox, settings.unconfirmed_days),
                account_purge=AccountPurge(users, accounts),
                rate_limiter=RateLimiter(fail_fast_redis, secret, settings.rate_limit_factor),
                outbox=outbox,
                mailer=Mailer(outbox, letters.compose, make_transport(settings), on_sent=letters.sent),
            )


def _hash_cost(settings: Settings) -> HashCost:
    return HashCost(settings.password_memory_mib, settings.password_iterations, settings.password_lanes)
