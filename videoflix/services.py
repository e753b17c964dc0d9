"""What handlers are handed: every service, built once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from videoflix.accounts.admission import Admission
from videoflix.accounts.departures import Departures
from videoflix.accounts.people import People
from videoflix.accounts.service import Accounts
from videoflix.accounts.throttle import Throttle
from videoflix.accounts.unconfirmed import Unconfirmed
from videoflix.catalogue import Catalogue
from videoflix.catalogue.leftovers import Leftovers
from videoflix.catalogue.listing import Listing
from videoflix.checks import Checks
from videoflix.mail.mailer import Mailer
from videoflix.mail.outbox import Outbox
from videoflix.media.service import Media
from videoflix.metrics import Metrics
from videoflix.ports import Engine
from videoflix.settings import Settings
from videoflix.uploads import Uploads
from videoflix.viewing import Viewing


@dataclass(frozen=True, slots=True)
class Services:
    """Frozen: a handler can use them, never exchange them."""

    settings: Settings
    accounts: Accounts
    admission: Admission
    people: People
    unconfirmed: Unconfirmed
    departures: Departures
    throttle: Throttle
    outbox: Outbox
    mailer: Mailer
    catalogue: Catalogue
    listing: Listing
    viewing: Viewing
    leftovers: Leftovers
    engine: Engine
    media: Media
    uploads: Uploads
    is_outage: Callable[[BaseException], bool]  # what drivers raise while their server is away
    checks: Checks
    metrics: Metrics
