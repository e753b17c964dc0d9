"""handlers/metrics.py and videoflix/metrics.py: what the metrics contain, and who may read them."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.support.http_client import HttpClient
from tests.support.sites import running_site
from tests.support.users import register, sign_up
from tests.support.videos import VideoLibrary
from videoflix.metrics import Metrics
from videoflix.services import Services
from videoflix.settings import Settings

TOKEN = "for a scraper, and long enough for it"


async def metrics(client: HttpClient) -> dict[str, float]:
    """Return the values of all metrics by name and labels."""
    answer = await client.get("/metrics")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return values(answer.body)


def values(text: bytes) -> dict[str, float]:
    families = text_string_to_metric_families(text.decode())
    return {" ".join([s.name, *s.labels.values()]): s.value for family in families for s in family.samples}


async def test_only_admins_and_the_scraper_can_read_the_metrics(settings: Settings) -> None:
    async with running_site(settings, metrics_token=SecretStr(TOKEN), rate_limit_factor=0) as (client, services):
        assert (await client.get("/metrics")).status == 401
        assert (await client.get("/metrics", Authorization=f"Bearer {TOKEN}x")).status == 401
        assert (await client.get("/metrics", Authorization=f"Bearer {TOKEN}")).status == 200
        assert (await client.get("/api/admin/users/", Authorization=f"Bearer {TOKEN}")).status == 401
        await sign_up(client, services)
        assert (await client.get("/metrics")).status == 403
        await services.accounts.make_admin("admin@videoflix.example", "correct horse battery")
        await client.log_in()
        assert (await client.get("/metrics")).status == 200


async def test_without_metrics_token_no_bearer_token_is_accepted(client: HttpClient) -> None:
    for empty in ("Bearer ", "Bearer", ""):
        assert (await client.get("/metrics", Authorization=empty)).status == 401


async def test_requests_and_bytes_are_counted(admin: HttpClient, library: VideoLibrary) -> None:
    await library.add()
    await admin.get("/media/hls/1/master.m3u8")  # from here on the fast path serves it
    before = await metrics(admin)
    segment = await admin.get("/media/hls/1/480p/0000.ts")
    part = await admin.get("/media/hls/1/480p/0001.ts", Range="bytes=0-9")
    text = await admin.get("/media/hls/1/master.m3u8")
    await admin.get("/api/video/")
    await admin.get("/api/video/99/")
    await admin.get("/nowhere")
    after = await metrics(admin)
    grown = {name: value - before.get(name, 0) for name, value in after.items() if not name.startswith("videoflix_req")}
    assert grown["videoflix_media_sent_bytes_total"] == len(segment.body) + len(part.body) + len(text.body)
    requests = {name: value - before.get(name, 0) for name, value in after.items() if "requests_total" in name}
    assert {name: value for name, value in requests.items() if value} == {
        "videoflix_requests_total media 200": 2,
        "videoflix_requests_total media 206": 1,
        "videoflix_requests_total videos 200": 1,
        "videoflix_requests_total videos 404": 1,
        "videoflix_requests_total unknown 404": 1,
        "videoflix_requests_total metrics 200": 1,
    }
    assert (
        after["videoflix_request_seconds_count videos"] - before.get("videoflix_request_seconds_count videos", 0) == 2
    )


async def test_the_metrics_contain_the_state_of_the_site(admin: HttpClient, services: Services) -> None:
    await services.engine.start(7)
    await register(admin)
    samples = await metrics(admin)
    assert {name: samples[name] for name in samples if "server_up" in name} == {
        "videoflix_server_up database": 1,
        "videoflix_server_up redis": 1,
    }
    assert samples["videoflix_jobs queued"] == 1
    assert samples["videoflix_tasks queued"] == 1  # the probe
    assert samples["videoflix_mails owed"] == 1
    assert samples["videoflix_mails given_up"] == 0
    assert samples["videoflix_revocations_in_step"] == 1
    assert samples["videoflix_media_transfers"] == samples["videoflix_segment_waiters"] == 0


async def test_an_unreachable_server_is_reported_and_hides_nothing_else() -> None:
    async def away() -> Mapping[str, int]:
        raise ConnectionError("no redis")

    async def mails() -> Mapping[str, int]:
        return {"owed": 3}

    metrics = Metrics(
        count_waiters=lambda: 2,
        is_in_sync=lambda: False,
        checks={"redis": away},
        state_counters={"jobs": away, "mails": mails},
    )
    with capture_logs() as logs:
        samples = values(await metrics.render())
    assert samples["videoflix_server_up redis"] == 0
    assert samples["videoflix_mails owed"] == 3
    assert samples["videoflix_segment_waiters"] == 2
    assert samples["videoflix_revocations_in_step"] == 0
    assert not [name for name in samples if "jobs" in name]
    assert {entry["error"] for entry in logs} == {"no redis"}
