"""Builds stores and services in one place, and closes them in reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from transcode.ledger import Ledger
from videoflix.checks import Checks
from videoflix.composition.accounts import AccountServices, open_accounts
from videoflix.composition.catalogue import Catalogued, open_catalogue
from videoflix.composition.clients import Clients, is_away, open_clients
from videoflix.composition.engine import ServiceEngine, open_engine
from videoflix.errors import CommandError
from videoflix.media.films import Films
from videoflix.media.service import Media
from videoflix.metrics import Metrics
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.uploads import Uploads


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything that handlers need."""
    if not settings.secret_key.get_secret_value():
        raise CommandError("SECRET_KEY is not set: give it a random text of at least 32 characters.")
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(open_clients(settings))
        users, videos = UserStore(clients.database), VideoStore(clients.database)
        engine = await stack.enter_async_context(open_engine(Ledger(clients.redis), settings.media_root))
        catalogued = await stack.enter_async_context(
            open_catalogue(clients.database, clients.channel, videos, users, engine, settings.media_root)
        )
        holdings = [catalogued.viewing.forget_user]  # what goes with a deleted user
        people = await stack.enter_async_context(
            open_accounts(settings, clients.database, clients.channel, users, holdings)
        )
        films = Films(videos)
        engine.on_film_changed(films.changed)
        stack.push_async_callback(films.close)
        yield _joined(settings, clients, engine, catalogued, people, films)


def _joined(
    settings: Settings,
    clients: Clients,
    engine: ServiceEngine,
    catalogued: Catalogued,
    people: AccountServices,
    films: Films,
) -> Services:
    """What was opened, as handlers see it, and what watches over it."""
    checks: Checks = {
        "database": clients.database["counters"].find_one,  # one that answers a ping may answer nothing else
        "redis": clients.redis.ping,
    }
    metrics = Metrics(
        waiting=lambda: engine.waiters,
        in_step=lambda: people.admission.is_current,
        checks=checks,
        counts={"jobs": engine.job_states, "tasks": engine.task_states, "mails": people.outbox.counts},
    )
    return Services(
        settings=settings,
        accounts=people.accounts,
        admission=people.admission,
        people=people.people,
        unconfirmed=people.unconfirmed,
        departures=people.departures,
        throttle=people.throttle,
        outbox=people.outbox,
        mailer=people.mailer,
        catalogue=catalogued.catalogue,
        listing=catalogued.listing,
        viewing=catalogued.viewing,
        leftovers=catalogued.leftovers,
        engine=engine,
        media=Media(settings.media_root, films, engine),
        uploads=Uploads(settings),
        is_outage=is_away,
        checks=checks,
        metrics=metrics,
    )
