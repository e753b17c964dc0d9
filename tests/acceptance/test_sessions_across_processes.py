"""Real web processes: who signs out in one of them is shut out of the other, and mails go out beside the requests."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tests.support.http_client import HttpClient
from tests.support.users import ADDRESS, PASSWORD, link_parameters, read_mail, register
from videoflix.bootstrap.services import open_services
from videoflix.embedded import processes
from videoflix.embedded.servers import ServerSpec, find_free_port
from videoflix.settings import Settings


@contextmanager
def web(settings: Settings) -> Iterator[HttpClient]:
    """A web process, and a client of it."""
    port = find_free_port()
    environment = {**settings.as_environment(), "PORT": str(port), "MONGODB_DB": settings.mongodb_db}
    environment["MAIL_DIR"] = str(settings.mail_dir)
    given = (f"{name}={value}" for name, value in environment.items())
    settings.data_dir.mkdir(exist_ok=True)
    argv = ("/usr/bin/env", *given, sys.executable, "-m", "videoflix", "web")
    server = ServerSpec("web process", argv, f"http://127.0.0.1:{port}", port, settings.data_dir / f"web-{port}.log")
    with processes.run_server(server, 40), closing(HttpClient(port)) as client:
        yield client


async def test_a_sign_out_in_one_process_reaches_the_other_at_once(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
    taken = []
    with ExitStack() as stack:
        one, other = stack.enter_context(web(settings)), stack.enter_context(web(settings))
        for _ in range(5):
            await one.log_in(ADDRESS, PASSWORD)
            other.cookies = {"access_token": one.cookies["access_token"]}
            assert (await other.get("/api/me/")).status == 200
            assert (await one.post("/api/logout/")).status == 200
            begin = time.monotonic()
            async with asyncio.timeout(5):  # less than the comparison with the database takes to come round
                while (await other.get("/api/me/")).status != 401:
                    pass
            taken.append(time.monotonic() - begin)
    assert min(taken) < 0.1  # of each, on a machine that does nothing else


async def test_a_web_process_sends_the_mails_that_its_visitors_are_owed(settings: Settings) -> None:
    with web(settings) as client:
        await register(client)
        async with asyncio.timeout(20):
            while not (files := list(settings.mail_dir.glob("*.eml"))):
                await asyncio.sleep(0.02)
        uid, token = link_parameters(read_mail(files[0]))
        assert (await client.get(f"/api/activate/{uid}/{token}/")).status == 200
        await client.log_in(ADDRESS, PASSWORD)
