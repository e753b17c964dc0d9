"""A site for each test: services over real servers, an HTTP server on a free port, a client with cookies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from socket import socket

import pytest

from handlers.application import Application
from handlers.media import fast_path
from handlers.routes import make_application
from handlers.server import Server
from tests.support.event_loop import RunAsync
from tests.support.http_client import HttpClient
from tests.support.loop_watch import watched_loop
from tests.support.videos import VideoLibrary, open_video_store
from videoflix.bootstrap.clients import Clients, open_clients
from videoflix.bootstrap.services import open_services
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore

# The aim is 100 ms. Waiting for the interpreter lock counts as well, which took up to 0.25 s on a machine that had ten
# runnable processes for each processor.
_MAX_LOOP_HOLD_S = 0.5


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "blocks_loop: blocks the event loop on purpose, so the loop is not watched")


@pytest.fixture(autouse=True)
def _watch_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a callback holds the event loop: by a computation, a blocking call, a disk."""
    if request.node.get_closest_marker("blocks_loop"):
        yield
        return
    with watched_loop(_MAX_LOOP_HOLD_S):
        yield


@pytest.fixture
def services(run_async: RunAsync, settings: Settings) -> Iterator[Services]:
    """Return services that stay open until the test ends."""
    stack = AsyncExitStack()
    yield run_async(lambda: stack.enter_async_context(open_services(settings)))
    run_async(stack.aclose)


@pytest.fixture
def app(services: Services) -> Application:
    """Return the application for pytest-tornasync's fixtures."""
    return make_application(services)


@pytest.fixture
def http_server(run_async: RunAsync, app: Application, http_server_port: tuple[socket, int]) -> Iterator[Server]:
    """Run the server of a web process instead of pytest-tornasync's."""
    server = Server(app)
    server.add_socket(http_server_port[0])
    yield server
    server.stop()
    run_async(server.close_all_connections)


@pytest.fixture
def client(http_server: Server, http_server_port: tuple[socket, int]) -> Iterator[HttpClient]:
    """Return a client without a session."""
    with closing(HttpClient(http_server_port[1])) as client:
        yield client


@pytest.fixture
def admin(run_async: RunAsync, services: Services, client: HttpClient) -> HttpClient:
    """Return the client, signed in as an admin."""
    run_async(lambda: services.accounts.make_admin("admin@videoflix.example", "correct horse battery"))
    run_async(client.log_in)
    return client


@pytest.fixture
def library(settings: Settings) -> Iterator[VideoLibrary]:
    store, client = open_video_store(settings)
    yield VideoLibrary(settings, store)
    client.close()


@pytest.fixture(params=["fast_path", "handler"])
def serving_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on both serving paths. Return the name of this one."""
    if request.param == "handler":
        monkeypatch.setattr(fast_path, "can_sendfile", lambda _: False)
    return str(request.param)


@pytest.fixture
def videos(run_async: RunAsync, settings: Settings) -> Iterator[VideoStore]:
    """Return the collection of videos, to add records without transcoding anything."""

    async def open_clients_here() -> Clients:
        return await stack.enter_async_context(open_clients(settings))

    stack = AsyncExitStack()
    yield VideoStore(run_async(open_clients_here).database)
    run_async(stack.aclose)
