"""What outsiders can learn from response times, and readers of the log from its lines."""

from __future__ import annotations

import logging
import time

import pytest

from tests.support.http_client import HttpClient
from tests.support.users import ADDRESS, PASSWORD, deliver_mails, link_parameters, sign_up
from videoflix.accounts.passwords import HashCost
from videoflix.services import Services
from videoflix.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Make hashes as costly as in production."""
    cost = HashCost()
    return settings.model_copy(update={"password_memory_mib": cost.memory_mib, "password_iterations": cost.iterations})


async def measure_s(client: HttpClient, path: str, body: dict[str, str]) -> float:
    started_at = time.perf_counter()
    await client.post(path, body)
    return time.perf_counter() - started_at


async def test_known_and_unknown_addresses_take_the_same_time(
    client: HttpClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fastest of interleaved requests; without the dummy hash unknown addresses are ten times as fast."""
    await sign_up(client, services)
    monkeypatch.setattr(services.rate_limiter, "_factor", 0)
    client.cookies = {}
    for path in ("/api/login/", "/api/password_reset/", "/api/resend_activation/"):
        known, unknown = [], []
        for _ in range(9):
            stranger = "nobody@example.org"
            known.append(await measure_s(client, path, {"email": ADDRESS, "password": "a wrong one"}))
            unknown.append(await measure_s(client, path, {"email": stranger, "password": "a wrong one"}))
        assert 0.5 < min(known) / min(unknown) < 2, path


async def test_the_log_names_every_event_and_reveals_no_secret(
    client: HttpClient, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await sign_up(client, services)
    tokens = list(client.cookies.values())
    await client.post("/api/login/", {"email": ADDRESS, "password": "the wrong password"})
    await client.post("/api/login/", {"email": "a typed secret", "password": "x"})
    await client.post("/api/token/refresh/")
    await client.post("/api/password_reset/", {"email": ADDRESS})
    uid, token = link_parameters((await deliver_mails(services))[0])
    new = "another horse battery"
    await client.post(f"/api/password_confirm/{uid}/{token}/", {"new_password": new, "confirm_password": new})
    await client.post(f"/api/password_confirm/{uid}/{token}/", {"new_password": new, "confirm_password": new})
    await client.log_in(ADDRESS, new)
    await client.get("/api/admin/users/")
    await client.post("/api/token/refresh/", Cookie="refresh_token=forged")
    await client.post("/api/logout/", Origin="http://evil.example")
    await client.post("/api/logout/")
    tokens += [*client.cookies.values(), token]
    events = {record.message.split()[0] for record in caplog.records if record.name == "videoflix.security"}
    assert events >= {
        "user_created",
        "user_activated",
        "authn_login_success",
        "authn_login_fail",
        "session_created",
        "session_renewed",
        "authn_password_change",
        "authn_password_change_fail",
        "authn_token_denied",
        "authn_token_revoked",
        "authz_fail",
        "malicious_cross_site",
    }
    everything = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("videoflix"))
    for secret in (PASSWORD, new, "the wrong password", "a typed secret", *tokens):
        assert secret not in everything
