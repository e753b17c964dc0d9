"""A whole site for each test: services over real servers, an HTTP server on a free port, a client with cookies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from socket import socket

import pytest
from tornado.ioloop import IOLoop

from handlers.entrance import Entrance
from handlers.media import lane
from handlers.routes import make_application
from handlers.server import Server
from tests.http.films import Shelf, video_store
from tests.tools import Browser
from videoflix.composition.clients import Clients, open_clients
from videoflix.composition.root import open_services
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore


@pytest.fixture
def services(io_loop: IOLoop, settings: Settings) -> Iterator[Services]:
    """Open for as long as the test runs."""
    stack = AsyncExitStack()
    yield io_loop.run_sync(lambda: stack.enter_async_context(open_services(settings)))
    io_loop.run_sync(stack.aclose)


@pytest.fixture
def app(services: Services) -> Entrance:
    """What pytest-tornasync serves."""
    return make_application(services)


@pytest.fixture
def http_server(io_loop: IOLoop, app: Entrance, http_server_port: tuple[socket, int]) -> Iterator[Server]:
    """The server of a web process, in the place of pytest-tornasync's."""
    server = Server(app)
    server.add_socket(http_server_port[0])
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def browser(http_server: Server, http_server_port: tuple[socket, int]) -> Iterator[Browser]:
    """A client without a session."""
    with closing(Browser(http_server_port[1])) as client:
        yield client


@pytest.fixture
def admin(io_loop: IOLoop, services: Services, browser: Browser) -> Browser:
    """The client, signed in as an admin."""
    io_loop.run_sync(lambda: services.accounts.make_admin("admin@videoflix.example", "correct horse battery"))
    io_loop.run_sync(browser.log_in)
    return browser


@pytest.fixture
def shelf(settings: Settings) -> Iterator[Shelf]:
    store, client = video_store(settings)
    yield Shelf(settings, store)
    client.close()


@pytest.fixture(params=["lane", "handler"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every rule holds on both; without Linux, or for what is not at hand, there is only the handler."""
    if request.param == "handler":
        monkeypatch.setattr(lane, "can_carry", lambda _: False)
    return str(request.param)


@pytest.fixture
def videos(io_loop: IOLoop, settings: Settings) -> Iterator[VideoStore]:
    """The site's collection of videos, to be filled without the work that films take."""

    async def open_clients_here() -> Clients:
        return await stack.enter_async_context(open_clients(settings))

    stack = AsyncExitStack()
    yield VideoStore(io_loop.run_sync(open_clients_here).database)
    io_loop.run_sync(stack.aclose)
