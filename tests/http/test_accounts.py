"""The HTTP endpoints of accounts, call by call, over real sockets."""

from __future__ import annotations

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.users import (
    ADDRESS,
    PASSWORD,
    age_sent_mails,
    deliver_mails,
    link_parameters,
    register,
    registration_body,
    run_mailer,
    sign_up,
)
from videoflix.services import Services

REFUSED = {"detail": "Please check your input and try again."}
NEW = "another horse battery"


def cookie_lines(answer: HttpResponse) -> dict[str, str]:
    """Return the Set-Cookie lines of a response by cookie name."""
    return {line.partition("=")[0]: line for line in answer.headers.get_list("Set-Cookie")}


# Registration and activation


async def test_registering_adds_an_inactive_account_and_sends_a_mail(client: HttpClient, services: Services) -> None:
    answer = await client.post("/api/register/", registration_body(" Viewer@Example.ORG "))
    assert answer.status == 201
    assert answer.json["user"] == {"id": 1, "email": ADDRESS}
    assert isinstance(answer.json["token"], str)
    assert (await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    (mail,) = await deliver_mails(services)
    assert (mail["Subject"], mail["To"]) == ("Confirm your email", ADDRESS)


async def test_the_token_of_a_registration_gives_access_to_nothing(client: HttpClient, services: Services) -> None:
    token = (await register(client)).json["token"]
    uid, _ = link_parameters((await deliver_mails(services))[0])
    for path in (f"/api/activate/{uid}/{token}/", f"/api/activate/{token}/"):
        answer = await client.get(path)
        assert answer.status == 400
        assert answer.json == dict.fromkeys(("message", "detail", "error"), "Activation failed.")
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await client.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 400


async def test_registration_accepts_three_field_names_and_two_body_types(client: HttpClient) -> None:
    for alias in ("confirmed_password", "confirm_password", "repeated_password"):
        body = f"email={alias}%40example.org&password=correct+horse&{alias}=correct+horse&privacy_policy=on".encode()
        answer = await client.post("/api/register", body, Content_Type="application/x-www-form-urlencoded")
        assert answer.status == 201, answer.body
        given = {"email": f"json.{alias}@example.org", "password": PASSWORD, alias: PASSWORD, "privacy_policy": "on"}
        assert (await client.post("/api/register", given)).status == 201


async def test_a_registered_address_is_refused_like_any_bad_input(client: HttpClient, services: Services) -> None:
    await register(client)
    await deliver_mails(services)
    answer = await client.post("/api/register/", registration_body(ADDRESS.upper()))
    assert (answer.status, answer.json) == (400, REFUSED)
    assert await deliver_mails(services) == []  # the first one was just sent
    age_sent_mails(services)
    assert (await client.post("/api/register/", registration_body())).status == 400
    (mail,) = await deliver_mails(services)  # since the address is not confirmed yet
    await client.get("/api/activate/{}/{}/".format(*link_parameters(mail)))
    await client.log_in(ADDRESS, PASSWORD)
    answer = await client.post("/api/register/", registration_body())
    assert (answer.status, answer.json) == (400, REFUSED)
    assert await deliver_mails(services) == []


STRANGERS_PASSWORD = "the password of a stranger"


async def refuses(client: HttpClient, *passwords: str) -> bool:
    bodies = [(await client.post("/api/login/", {"email": ADDRESS, "password": text})).json for text in passwords]
    return bodies == [REFUSED] * len(passwords)


async def test_registering_a_foreign_address_first_gives_no_access(client: HttpClient, services: Services) -> None:
    await register(client, password=STRANGERS_PASSWORD)
    (sent_for_the_stranger,) = await deliver_mails(services)
    assert (await client.post("/api/register/", registration_body())).json == REFUSED
    (mail,) = await deliver_mails(services)
    assert mail["Subject"] == "Reset your password"
    assert (await client.get("/api/activate/{}/{}/".format(*link_parameters(sent_for_the_stranger)))).status == 200
    assert await refuses(client, STRANGERS_PASSWORD, PASSWORD)  # nobody knows which of them the owner chose
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await client.post("/api/password_confirm/{}/{}/".format(*link_parameters(mail)), body)).status == 200
    assert await refuses(client, STRANGERS_PASSWORD)
    await client.log_in(ADDRESS, NEW)
    await client.post("/api/register/", registration_body(password=STRANGERS_PASSWORD))  # too late
    await client.log_in(ADDRESS, NEW)


async def test_a_password_reset_confirms_an_unconfirmed_account(client: HttpClient, services: Services) -> None:
    await register(client, password=STRANGERS_PASSWORD)
    await deliver_mails(services)
    await client.post("/api/password_reset/", {"email": ADDRESS})
    uid, token = link_parameters((await deliver_mails(services))[0])
    assert (await client.get(f"/api/activate/{uid}/{token}/")).status == 400
    assert await refuses(client, STRANGERS_PASSWORD)
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await client.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 200
    assert await refuses(client, STRANGERS_PASSWORD)
    await client.log_in(ADDRESS, NEW)


async def test_all_bad_fields_are_named_at_once(client: HttpClient) -> None:
    nothing = await client.post("/api/register/")
    required = ["This field is required."]
    assert nothing.json == {"email": required, "password": required, "confirmed_password": required}
    wrong = await client.post("/api/register/", {"email": "nobody", "password": "short", "confirmed_password": "s"})
    assert wrong.status == 400
    assert wrong.json == {
        "email": ["Enter a valid email address."],
        "password": ["This password is too short. It must contain at least 8 characters."],
        "confirmed_password": ["Passwords do not match."],
    }
    blank = await client.post("/api/register/", {"email": " ", "password": "", "confirmed_password": ""})
    assert set(blank.json) == {"email", "password", "confirmed_password"}
    assert set(map(tuple, blank.json.values())) == {("This field may not be blank.",)}


WEAK = {
    "Password123": "This password is too common.",
    "viewer@example.org": "The password is too similar to the email address.",
    "x" * 4097: "Ensure this field has no more than 4096 characters.",
    "with\0null char": "Null characters are not allowed.",
}


async def test_weak_passwords_are_refused(client: HttpClient) -> None:
    for password, sentence in WEAK.items():
        answer = await client.post("/api/register/", registration_body(password=password))
        assert (answer.status, answer.json) == (400, {"password": [sentence]})


async def test_a_password_may_be_long_and_in_any_script(client: HttpClient, services: Services) -> None:
    await sign_up(client, services, password=" Ünïcödé 密码 " + "🐎" * 4084)


async def test_an_activation_link_works_twice_and_with_and_without_uid(client: HttpClient, services: Services) -> None:
    await register(client)
    uid, token = link_parameters((await deliver_mails(services))[0])
    for path in (f"/api/activate/{uid}/{token}/", f"/api/activate/{uid}/{token}", f"/api/activate/{token}/"):
        answer = await client.get(path)
        assert (answer.status, answer.json) == (200, {"message": "Account successfully activated."})


async def test_a_link_of_another_user_or_purpose_is_refused(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    await client.post("/api/password_reset/", {"email": ADDRESS})
    reset_uid, reset_token = link_parameters((await deliver_mails(services))[0])
    await register(client, "other@example.org")
    uid, token = link_parameters((await deliver_mails(services))[0])
    body = {"new_password": NEW, "confirm_password": NEW}
    for path in (f"{reset_uid}/{token}", f"{uid}/{reset_token}", f"{uid}/{token[:-1]}", f"{uid}/{token}x", "%00/%ff"):
        assert (await client.get(f"/api/activate/{path}/")).status in (400, 404)
    for path in (f"{uid}/{reset_token}", f"{uid}/{token}", f"{reset_uid}/{reset_token[:-1]}"):
        answer = await client.post(f"/api/password_confirm/{path}/", body)
        assert (answer.status, answer.json) == (400, {"detail": "The link is invalid or has expired."})
    assert (await client.post(f"/api/password_confirm/{reset_uid}/{reset_token}/", body)).status == 200


async def test_an_activation_mail_is_resent_only_to_unconfirmed_accounts(
    client: HttpClient, services: Services
) -> None:
    await register(client)
    await deliver_mails(services)
    age_sent_mails(services)
    answers = []
    for address in (ADDRESS, "nobody@example.org"):
        answers.append(await client.post("/api/resend_activation/", {"email": address}))
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    (mail,) = await deliver_mails(services)
    uid, token = link_parameters(mail)
    assert (await client.get(f"/api/activate/{uid}/{token}/")).status == 200
    await client.post("/api/resend_activation/", {"email": ADDRESS})
    assert await deliver_mails(services) == []
    assert (await client.post("/api/resend_activation/", {"email": "x"})).json == {
        "email": ["Enter a valid email address."]
    }


async def test_mails_requested_by_strangers_do_not_use_up_the_owners(client: HttpClient, services: Services) -> None:
    """One mail is outstanding at a time: the owner need not wait, and no stranger can flood the mailbox."""
    await sign_up(client, services)
    for _ in range(12):
        assert (await client.post("/api/password_reset/", {"email": ADDRESS})).status == 200
        await run_mailer(services)
    uid, token = link_parameters(*await deliver_mails(services))
    age_sent_mails(services)
    await client.post("/api/password_reset/", {"email": ADDRESS})  # by the owner, who lost the first mail
    (second,) = await deliver_mails(services)
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await client.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 200
    await deliver_mails(services)
    # Both links are invalid now, so a new mail is sent at once.
    await client.post("/api/password_reset/", {"email": ADDRESS})
    assert len(await deliver_mails(services)) == 1
    assert (await client.post("/api/password_confirm/{}/{}/".format(*link_parameters(second)), body)).status == 400


async def test_an_undeliverable_mail_is_retried_until_it_is_delivered(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    folder = services.settings.mail_dir
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    await client.post("/api/password_reset/", {"email": ADDRESS})
    assert await run_mailer(services)
    folder.unlink()
    await client.post("/api/password_reset/", {"email": ADDRESS})  # makes the mail due
    assert len(await deliver_mails(services)) == 1


# Login and logout


async def test_login_sets_the_cookies_and_reveals_no_token(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    answer = await client.post("/api/login", {"email": f" {ADDRESS.upper()} ", "password": PASSWORD})
    assert answer.status == 200
    assert answer.json == {"detail": "Login successful", "user": {"id": 1, "username": ADDRESS}}
    lines = cookie_lines(answer)
    assert set(lines) == {"access_token", "refresh_token", "csrftoken", "known_device"}
    for name, seconds in (("access_token", 1800), ("refresh_token", 604800), ("known_device", 400 * 86400)):
        assert {part.strip() for part in lines[name].split(";")[1:]} == {
            "HttpOnly",
            f"Max-Age={seconds}",
            "Path=/",
            "SameSite=Lax",
        }
    assert "HttpOnly" not in lines["csrftoken"]
    assert client.cookies["access_token"] not in answer.body.decode()
    assert (await client.get("/api/video/")).json == []


async def test_every_failed_login_gets_the_same_message(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    await register(client, "inactive@example.org")
    await register(client, "disabled@example.org")
    for mail in await deliver_mails(services):
        if "disabled" in mail["To"]:
            await client.get("/api/activate/{}/{}/".format(*link_parameters(mail)))
    await services.user_admin.update(0, 3, is_disabled=True)
    client.cookies = {}
    for address, password in (
        (ADDRESS, PASSWORD + "x"),
        ("nobody@example.org", PASSWORD),
        ("inactive@example.org", PASSWORD),
        ("disabled@example.org", PASSWORD),
        ("no address", PASSWORD),
        (ADDRESS + "\0", PASSWORD),
        ("\uff56iewer@example.org", PASSWORD),  # a full-width v
    ):
        answer = await client.post("/api/login/", {"email": address, "password": password})
        assert (answer.status, answer.json, client.cookies) == (400, REFUSED, {}), address


async def test_a_stale_cookie_does_not_prevent_a_login(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    client.cookies = {"access_token": "stale", "refresh_token": "stale"}
    await client.log_in(ADDRESS, PASSWORD)
    assert (await client.get("/api/me/")).status == 200


async def test_logout_ends_the_session_at_once(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    stolen = dict(client.cookies)
    answer = await client.fetch("POST", "/api/logout/", b"", Content_Type="application/json")
    assert (answer.status, answer.json["detail"]) == (
        200,
        "Logout successful! All tokens will be deleted. Refresh token is now invalid.",
    )
    lines = cookie_lines(answer)
    for name in ("access_token", "refresh_token"):
        assert "Max-Age=0" in lines[name]
        assert "Path=/" in lines[name]
    client.cookies = {"access_token": stolen["access_token"]}
    denied = await client.get("/api/video/")
    assert (denied.status, denied.json["code"]) == (401, "token_not_valid")
    client.cookies = stolen
    assert (await client.get("/api/video/")).status == 401
    assert (await client.post("/api/token/refresh/")).status == 401


async def test_logout_without_a_session(client: HttpClient) -> None:
    missing = await client.fetch("POST", "/api/logout/", b"", Content_Type="application/json")
    assert (missing.status, missing.json) == (400, {"detail": "Refresh token is missing."})
    client.cookies = {"refresh_token": "nonsense"}
    invalid = await client.post("/api/logout/")
    assert (invalid.status, "refresh_token" in cookie_lines(invalid)) == (200, True)


# Password reset


async def test_a_password_is_reset_and_every_session_ends(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    other_device = dict(client.cookies)
    client.cookies = {}
    answer = await client.post("/api/password_reset", {"email": f" {ADDRESS.upper()}"})
    assert (answer.status, answer.json) == (200, {"detail": "An email has been sent to reset your password."})
    (mail,) = await deliver_mails(services)
    assert mail["Subject"] == "Reset your password"
    uid, token = link_parameters(mail)
    path = f"/api/password_confirm/{uid}/{token}/"
    mismatch = await client.post(path, {"new_password": NEW, "confirm_password": "different, by accident"})
    assert (mismatch.status, mismatch.json) == (400, {"confirm_password": ["Passwords do not match."]})
    weak = await client.post(path, {"new_password": "password1", "confirm_password": "password1"})
    assert (weak.status, list(weak.json)) == (400, ["new_password"])
    done = await client.post(path, {"new_password": NEW, "confirm_password": NEW})
    assert (done.status, done.json) == (200, {"detail": "Your Password has been successfully reset."})
    again = await client.post(path, {"new_password": NEW, "confirm_password": NEW})
    assert (again.status, again.json) == (400, {"detail": "The link is invalid or has expired."})
    (notice,) = await deliver_mails(services)
    assert notice["Subject"] == "Your password was changed"
    assert (await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    await client.log_in(ADDRESS, NEW)
    client.cookies = other_device
    assert (await client.get("/api/me/")).status == 401


async def test_a_reset_accepts_other_field_names_and_a_link_without_uid(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    await client.post("/api/password_reset/", {"email": ADDRESS})
    _, token = link_parameters((await deliver_mails(services))[0])
    body = {"new_password1": NEW, "new_password2": NEW}
    assert (await client.post(f"/api/password_confirm/{token}/", body)).status == 200


async def test_a_reset_reveals_nothing_about_accounts(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    known, unknown = [await client.post("/api/password_reset/", {"email": who}) for who in (ADDRESS, "no@example.org")]
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert [mail["To"] for mail in await deliver_mails(services)] == [ADDRESS]
    assert (await client.post("/api/password_reset/", {"email": "a@b"})).json == {
        "email": ["Enter a valid email address."]
    }


# The user's own account


async def test_users_see_themselves_and_end_one_of_their_sessions(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    first = dict(client.cookies)
    await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD}, User_Agent="Television/1.0")
    me = (await client.get("/api/me/")).json
    assert me.pop("created_at").endswith("Z")
    assert me == {"id": 1, "email": ADDRESS, "is_admin": False}
    sessions = (await client.get("/api/me/sessions")).json["sessions"]
    assert [(session["device"], session["is_current"]) for session in sessions] == [
        ("Television/1.0", True),
        (sessions[1]["device"], False),
    ]
    assert sessions[0]["address"] == "127.0.0.1"
    ended = await client.fetch("DELETE", f"/api/me/sessions/{sessions[1]['id']}/")
    assert ended.status == 200
    assert (await client.fetch("DELETE", f"/api/me/sessions/{sessions[1]['id']}/")).status == 404
    assert (await client.get("/api/me/")).status == 200
    client.cookies = first
    assert (await client.get("/api/me/")).status == 401


async def test_users_cannot_end_a_session_of_another_user(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    (session,) = (await client.get("/api/me/sessions/")).json["sessions"]
    first = dict(client.cookies)
    await sign_up(client, services, "other@example.org")
    assert (await client.fetch("DELETE", f"/api/me/sessions/{session['id']}/")).status == 404
    client.cookies = first
    assert (await client.get("/api/me/")).status == 200


async def test_users_delete_their_account_with_the_password(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    stolen = dict(client.cookies)
    wrong = await client.fetch("DELETE", "/api/me/", {"password": "not it, surely"})
    assert (wrong.status, wrong.json) == (400, {"password": ["Incorrect password."]})
    gone = await client.fetch("DELETE", "/api/me/", {"password": PASSWORD})
    assert (gone.status, "access_token" in client.cookies) == (200, False)
    client.cookies = stolen
    assert (await client.get("/api/me/")).status == 401
    assert (await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    await register(client)  # the address is available again


async def test_the_last_admin_cannot_delete_their_account(admin: HttpClient, services: Services) -> None:
    password = {"password": "correct horse battery"}
    for number in (2, 3):
        await services.accounts.make_admin(f"admin{number}@example.org", PASSWORD)
    await services.user_admin.update(1, 2, is_disabled=True)
    await services.user_admin.update(1, 3, is_active=False)
    last = await admin.fetch("DELETE", "/api/me/", password)
    assert (last.status, last.json) == (
        409,
        {"detail": "You are the last admin. Make another user an admin first."},
    )
    await services.user_admin.update(1, 2, is_disabled=False)
    assert (await admin.fetch("DELETE", "/api/me/", password)).status == 200


async def test_the_csrf_cookie_comes_with_the_first_signed_in_get(client: HttpClient, services: Services) -> None:
    answer = await client.get("/api/csrf/")
    assert (answer.json, "csrftoken" in client.cookies) == ({"detail": "CSRF cookie set."}, True)
    await sign_up(client, services)
    del client.cookies["csrftoken"]
    await client.get("/api/video/")
    assert "csrftoken" in client.cookies


async def test_a_json_body_may_be_empty(client: HttpClient) -> None:
    for path in ("/api/logout/", "/api/token/refresh/"):
        answer = await client.fetch("POST", path, b"", Content_Type="application/json")
        assert (answer.status, answer.json) == (400, {"detail": "Refresh token is missing."})
