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

from videoflix.accounts.admission import Admission
from videoflix.accounts.departures import Departures
from videoflix.accounts.letters import AccountLetters
from videoflix.accounts.links import Links
from videoflix.accounts.passwords import Cost, Passwords
from videoflix.accounts.people import People
from videoflix.accounts.playback import PlaybackTokens
from videoflix.accounts.revocations import Revocations
from videoflix.accounts.service import Accounts, Holding
from videoflix.accounts.sessions import Sessions
from videoflix.accounts.throttle import Throttle
from videoflix.accounts.tokens import Tokens
from videoflix.accounts.unconfirmed import Unconfirmed
from videoflix.mail.letters import Letters
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.mail.transport import transport_of
from videoflix.settings import Settings
from videoflix.stores.counters import CounterStore
from videoflix.stores.links import LinkStore
from videoflix.stores.outbox import OutboxStore
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What handlers and commands get of it."""

    accounts: Accounts
    admission: Admission
    people: People
    unconfirmed: Unconfirmed
    departures: Departures
    throttle: Throttle
    outbox: Outbox
    mailer: Mailer


@asynccontextmanager
async def open_accounts(
    settings: Settings,
    database: AsyncIOMotorDatabase[dict[str, Any]],
    channel: Redis,
    users: UserStore,
    holdings: Sequence[Holding],
) -> AsyncIterator[AccountServices]:
    """In step with the other processes for as long as the block lasts. `channel` must not reconnect silently."""
    session_store, link_store, outbox_store = SessionStore(database), LinkStore(database), OutboxStore(database)
    await asyncio.gather(*(store.create_indexes() for store in (users, session_store, link_store, outbox_store)))
    secret = settings.secret_key.get_secret_value()
    tokens = Tokens(secret, settings.access_token_minutes * 60)
    playback = PlaybackTokens(secret, settings.playback_token_hours * 3600)
    revocations = Revocations(channel, session_store.ended, max(tokens.lifetime, playback.lifetime))
    sessions = Sessions(session_store, users, tokens, revocations, lifetime=timedelta(days=settings.refresh_token_days))
    links, outbox = Links(link_store), Outbox(outbox_store)
    letters = AccountLetters(users, links, Letters(settings.email_from), settings)
    with closing(Passwords(_cost(settings), settings.hashing_threads)) as passwords:
        counters = CounterStore(database)
        accounts = Accounts(users, counters, sessions, links, outbox, passwords, tokens, revocations, holdings=holdings)
        async with revocations.followed():
            yield AccountServices(
                accounts=accounts,
                admission=Admission(tokens.identify, playback, revocations),
                people=People(users, accounts),
                unconfirmed=Unconfirmed(users, links, outbox, settings.unconfirmed_days),
                departures=Departures(users, accounts),
                throttle=Throttle(channel, secret, settings.rate_limit_factor),
                outbox=outbox,
                mailer=Mailer(outbox, letters.compose, transport_of(settings), on_sent=letters.sent),
            )


def _cost(settings: Settings) -> Cost:
    return Cost(settings.password_memory_mib, settings.password_iterations, settings.password_lanes)
