"""The HTTP endpoints for admins: users and queued mails."""

from __future__ import annotations

from pathlib import Path

from tests.support.http_client import HttpClient
from tests.support.users import ADDRESS, PASSWORD, deliver_mails, link_parameters, register, run_mailer, sign_up
from videoflix.services import Services


async def log_in_member(admin: HttpClient, services: Services) -> HttpClient:
    """Return the client of a user who is logged in on another device."""
    client = HttpClient(int(admin.url.rpartition(":")[2]))
    await sign_up(client, services)
    return client


async def test_users_are_listed_and_searched_a_page_at_a_time(admin: HttpClient, services: Services) -> None:
    for number in range(3):
        await register(admin, f"viewer.{number}@example.org")
    listing = (await admin.get("/api/admin/users")).json
    assert (listing["count"], [user["id"] for user in listing["users"]]) == (4, [1, 2, 3, 4])
    assert listing["users"][0].pop("created_at").endswith("Z")
    assert listing["users"][0] == {
        "id": 1,
        "email": "admin@videoflix.example",
        "is_active": True,
        "is_disabled": False,
        "is_admin": True,
    }
    page = (await admin.get("/api/admin/users/?search=VIEWER.&limit=1&offset=1")).json
    assert (page["count"], [user["email"] for user in page["users"]]) == (3, ["viewer.1@example.org"])
    assert (await admin.get("/api/admin/users/?search=.*")).json["count"] == 0  # a text, not a pattern
    for bad in ("limit=x", "offset=-1", "limit=0x10", "limit=99999999999", "search=a%00b"):
        assert (await admin.get(f"/api/admin/users/?{bad}")).status == 400, bad


async def test_disabling_ends_sessions_at_once_and_enabling_permits_logins(
    admin: HttpClient, services: Services
) -> None:
    client = await log_in_member(admin, services)
    answer = await admin.fetch("PATCH", "/api/admin/users/2/", {"is_disabled": True})
    assert (answer.status, answer.json["is_disabled"]) == (200, True)
    assert (await client.get("/api/me/")).status == 401
    assert (await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).status == 400
    await client.post("/api/password_reset/", {"email": ADDRESS})
    await client.post("/api/resend_activation/", {"email": ADDRESS})
    assert await deliver_mails(services) == []
    await admin.fetch("PATCH", "/api/admin/users/2/", {"is_disabled": False})
    await client.log_in(ADDRESS, PASSWORD)
    client.close()


async def test_changed_rights_need_a_new_login(admin: HttpClient, services: Services) -> None:
    client = await log_in_member(admin, services)
    await admin.fetch("PATCH", "/api/admin/users/2/", {"is_admin": True})
    await client.log_in(ADDRESS, PASSWORD)
    assert (await client.get("/api/admin/users/")).status == 200
    await admin.fetch("PATCH", "/api/admin/users/2/", {"is_admin": False})
    assert (await client.get("/api/admin/users/")).status == 401
    await client.log_in(ADDRESS, PASSWORD)
    assert (await client.get("/api/admin/users/")).status == 403
    client.close()


async def test_an_earlier_link_does_not_undo_an_admins_decision(admin: HttpClient, services: Services) -> None:
    await register(admin)
    uid, token = link_parameters((await deliver_mails(services))[0])
    assert (await admin.get(f"/api/activate/{uid}/{token}/")).status == 200
    await admin.fetch("PATCH", "/api/admin/users/2/", {"is_active": False})
    assert (await admin.get(f"/api/activate/{uid}/{token}/")).status == 400
    await admin.post("/api/resend_activation/", {"email": ADDRESS})  # the address has to be confirmed again
    assert (
        await admin.get("/api/activate/{}/{}/".format(*link_parameters((await deliver_mails(services))[0])))
    ).status == 200


async def test_deleting_removes_the_user_and_their_data(admin: HttpClient, services: Services) -> None:
    client = await log_in_member(admin, services)
    answer = await admin.fetch("DELETE", "/api/admin/users/2/")
    assert (answer.status, answer.json) == (200, {"detail": "User deleted."})
    assert (await client.get("/api/me/")).status == 401
    for verb, body in (("GET", None), ("PATCH", {"is_admin": True}), ("DELETE", b"")):
        assert (await admin.fetch(verb, "/api/admin/users/2/", body)).status == 404
    client.close()


async def test_admins_cannot_remove_their_own_rights(admin: HttpClient) -> None:
    for verb, body in (("PATCH", {"is_admin": False}), ("PATCH", {"is_disabled": True}), ("DELETE", b"")):
        assert (await admin.fetch(verb, "/api/admin/users/1/", body)).status == 409
    wrong = await admin.fetch("PATCH", "/api/admin/users/1/", {"is_admin": "perhaps"})
    assert (wrong.status, wrong.json) == (400, {"is_admin": ["Must be a valid boolean."]})


async def test_admins_list_delete_and_retry_queued_mails(admin: HttpClient, services: Services) -> None:
    folder: Path = services.settings.mail_dir
    folder.write_text("a file where the folder should be")
    await register(admin)
    assert await run_mailer(services) == 1
    (mail,) = (await admin.get("/api/admin/mails/")).json["mails"]
    assert (mail["kind"], mail["address"], mail["status"], mail["attempts"]) == ("activation", ADDRESS, "owed", 1)
    assert "cannot be written" in mail["error"]
    assert (await admin.fetch("DELETE", f"/api/admin/mails/{mail['id']}/")).status == 200
    assert (await admin.get("/api/admin/mails/")).json == {"mails": []}
    assert (await admin.fetch("DELETE", f"/api/admin/mails/{mail['id']}/")).status == 404
    await admin.post("/api/resend_activation/", {"email": ADDRESS})
    assert await run_mailer(services) == 1
    folder.unlink()
    assert (await admin.post(f"/api/admin/mails/{mail['id']}/retry/")).status == 200
    assert [sent["To"] for sent in await deliver_mails(services)] == [ADDRESS]
    assert (await admin.get("/api/admin/mails/")).json == {"mails": []}
    assert (await admin.post(f"/api/admin/mails/{mail['id']}/retry/")).status == 404
