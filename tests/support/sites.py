"""A whole site in this process: services over real servers, and an HTTP server on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from tornado.testing import bind_unused_port

from handlers.routes import make_application
from handlers.server import Server
from tests.support.http_client import HttpClient
from videoflix.bootstrap.services import open_services
from videoflix.services import Services
from videoflix.settings import Settings


@asynccontextmanager
async def running_site(settings: Settings, **more: object) -> AsyncIterator[tuple[HttpClient, Services]]:
    """Run a site with these settings for as long as the block lasts; yield a client of it and its services."""
    async with open_services(settings.model_copy(update=more)) as services:
        listener, port = bind_unused_port()
        server = Server(make_application(services))
        server.add_socket(listener)
        with closing(HttpClient(port)) as client:
            yield client, services
        server.stop()
        await server.close_all_connections()
