"""The Accounts table of the HTTP contract, call by call, over real sockets."""

from __future__ import annotations

from tests.http.people import ADDRESS, PASSWORD, a_while_later, join, link, mails, register, registration
from tests.tools import Answer, Browser
from videoflix.services import Services

REFUSED = {"detail": "Please check your input and try again."}
NEW = "another horse battery"


def cookie_lines(answer: Answer) -> dict[str, str]:
    """Set-Cookie lines by name."""
    return {line.partition("=")[0]: line for line in answer.headers.get_list("Set-Cookie")}


# Register and activate.


async def test_registering_makes_an_inactive_account_and_owes_a_mail(browser: Browser, services: Services) -> None:
    answer = await browser.post("/api/register/", registration(" Viewer@Example.ORG "))
    assert answer.status == 201
    assert answer.json["user"] == {"id": 1, "email": ADDRESS}
    assert isinstance(answer.json["token"], str)
    assert (await browser.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    (mail,) = await mails(services)
    assert (mail["Subject"], mail["To"]) == ("Confirm your email", ADDRESS)


async def test_the_token_of_a_registration_opens_nothing(browser: Browser, services: Services) -> None:
    token = (await register(browser)).json["token"]
    uid, _ = link((await mails(services))[0])
    for path in (f"/api/activate/{uid}/{token}/", f"/api/activate/{token}/"):
        answer = await browser.get(path)
        assert answer.status == 400
        assert answer.json == dict.fromkeys(("message", "detail", "error"), "Activation failed.")
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await browser.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 400


async def test_the_second_password_has_three_names_and_bodies_two_kinds(browser: Browser) -> None:
    for alias in ("confirmed_password", "confirm_password", "repeated_password"):
        body = f"email={alias}%40example.org&password=correct+horse&{alias}=correct+horse&privacy_policy=on".encode()
        answer = await browser.post("/api/register", body, Content_Type="application/x-www-form-urlencoded")
        assert answer.status == 201, answer.body
        given = {"email": f"json.{alias}@example.org", "password": PASSWORD, alias: PASSWORD, "privacy_policy": "on"}
        assert (await browser.post("/api/register", given)).status == 201


async def test_a_known_address_is_refused_in_the_words_of_any_bad_input(browser: Browser, services: Services) -> None:
    await register(browser)
    await mails(services)
    answer = await browser.post("/api/register/", registration(ADDRESS.upper()))
    assert (answer.status, answer.json) == (400, REFUSED)
    assert await mails(services) == []  # the first one has just come
    a_while_later(services)
    assert (await browser.post("/api/register/", registration())).status == 400
    (mail,) = await mails(services)  # the address waits for its confirmation; and nobody else is told
    await browser.get("/api/activate/{}/{}/".format(*link(mail)))
    await browser.log_in(ADDRESS, PASSWORD)
    answer = await browser.post("/api/register/", registration())
    assert (answer.status, answer.json) == (400, REFUSED)
    assert await mails(services) == []


STRANGERS = "the password of a stranger"


async def refuses(browser: Browser, *passwords: str) -> bool:
    said = [(await browser.post("/api/login/", {"email": ADDRESS, "password": each})).json for each in passwords]
    return said == [REFUSED] * len(passwords)


async def test_who_registered_somebody_elses_address_first_never_gets_into_what_the_owner_confirms(
    browser: Browser, services: Services
) -> None:
    await register(browser, password=STRANGERS)
    (sent_for_the_stranger,) = await mails(services)
    assert (await browser.post("/api/register/", registration())).json == REFUSED
    (mail,) = await mails(services)
    assert mail["Subject"] == "Reset your password"
    assert (await browser.get("/api/activate/{}/{}/".format(*link(sent_for_the_stranger)))).status == 200
    assert await refuses(browser, STRANGERS, PASSWORD)  # whose of the two it is, nobody knows
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await browser.post("/api/password_confirm/{}/{}/".format(*link(mail)), body)).status == 200
    assert await refuses(browser, STRANGERS)
    await browser.log_in(ADDRESS, NEW)
    await browser.post("/api/register/", registration(password=STRANGERS))  # too late
    await browser.log_in(ADDRESS, NEW)


async def test_a_reset_of_an_unconfirmed_account_confirms_it_with_the_new_password_alone(
    browser: Browser, services: Services
) -> None:
    await register(browser, password=STRANGERS)
    await mails(services)
    await browser.post("/api/password_reset/", {"email": ADDRESS})
    uid, token = link((await mails(services))[0])
    assert (await browser.get(f"/api/activate/{uid}/{token}/")).status == 400
    assert await refuses(browser, STRANGERS)
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await browser.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 200
    assert await refuses(browser, STRANGERS)
    await browser.log_in(ADDRESS, NEW)


async def test_all_bad_fields_are_named_at_once(browser: Browser) -> None:
    nothing = await browser.post("/api/register/")
    required = ["This field is required."]
    assert nothing.json == {"email": required, "password": required, "confirmed_password": required}
    wrong = await browser.post("/api/register/", {"email": "nobody", "password": "short", "confirmed_password": "s"})
    assert wrong.status == 400
    assert wrong.json == {
        "email": ["Enter a valid email address."],
        "password": ["This password is too short. It must contain at least 8 characters."],
        "confirmed_password": ["Passwords do not match."],
    }
    blank = await browser.post("/api/register/", {"email": " ", "password": "", "confirmed_password": ""})
    assert set(blank.json) == {"email", "password", "confirmed_password"}
    assert set(map(tuple, blank.json.values())) == {("This field may not be blank.",)}


WEAK = {
    "Password123": "This password is too common.",
    "viewer@example.org": "The password is too similar to the email address.",
    "x" * 4097: "Ensure this field has no more than 4096 characters.",
    "with\0null char": "Null characters are not allowed.",
}


async def test_weak_passwords_are_refused(browser: Browser) -> None:
    for password, sentence in WEAK.items():
        answer = await browser.post("/api/register/", registration(password=password))
        assert (answer.status, answer.json) == (400, {"password": [sentence]})


async def test_a_password_may_be_long_and_in_any_script(browser: Browser, services: Services) -> None:
    await join(browser, services, password=" Ünïcödé 密码 " + "🐎" * 4084)


async def test_an_activation_link_works_twice_and_with_and_without_uid(browser: Browser, services: Services) -> None:
    await register(browser)
    uid, token = link((await mails(services))[0])
    for path in (f"/api/activate/{uid}/{token}/", f"/api/activate/{uid}/{token}", f"/api/activate/{token}/"):
        answer = await browser.get(path)
        assert (answer.status, answer.json) == (200, {"message": "Account successfully activated."})


async def test_a_link_of_somebody_else_or_another_purpose_is_refused(browser: Browser, services: Services) -> None:
    await join(browser, services)
    await browser.post("/api/password_reset/", {"email": ADDRESS})
    reset_uid, reset_token = link((await mails(services))[0])
    await register(browser, "other@example.org")
    uid, token = link((await mails(services))[0])
    body = {"new_password": NEW, "confirm_password": NEW}
    for path in (f"{reset_uid}/{token}", f"{uid}/{reset_token}", f"{uid}/{token[:-1]}", f"{uid}/{token}x", "%00/%ff"):
        assert (await browser.get(f"/api/activate/{path}/")).status in (400, 404)
    for path in (f"{uid}/{reset_token}", f"{uid}/{token}", f"{reset_uid}/{reset_token[:-1]}"):
        answer = await browser.post(f"/api/password_confirm/{path}/", body)
        assert (answer.status, answer.json) == (400, {"detail": "The link is invalid or has expired."})
    assert (await browser.post(f"/api/password_confirm/{reset_uid}/{reset_token}/", body)).status == 200


async def test_an_activation_mail_comes_again_for_those_who_wait_and_nobody_else(
    browser: Browser, services: Services
) -> None:
    await register(browser)
    await mails(services)
    a_while_later(services)
    answers = []
    for address in (ADDRESS, "nobody@example.org"):
        answers.append(await browser.post("/api/resend_activation/", {"email": address}))
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    (mail,) = await mails(services)
    uid, token = link(mail)
    assert (await browser.get(f"/api/activate/{uid}/{token}/")).status == 200
    await browser.post("/api/resend_activation/", {"email": ADDRESS})
    assert await mails(services) == []
    assert (await browser.post("/api/resend_activation/", {"email": "x"})).json == {
        "email": ["Enter a valid email address."]
    }


async def test_who_asks_for_mails_in_somebody_elses_name_uses_none_of_theirs_up(
    browser: Browser, services: Services
) -> None:
    """One mail is outstanding at a time: neither does the owner wait, nor does anybody fill the mailbox."""
    await join(browser, services)
    for _ in range(12):
        assert (await browser.post("/api/password_reset/", {"email": ADDRESS})).status == 200
        await services.mailer.deliver_one()
    uid, token = link(*await mails(services))
    a_while_later(services)
    await browser.post("/api/password_reset/", {"email": ADDRESS})  # the owner, who has lost the first one
    (second,) = await mails(services)
    body = {"new_password": NEW, "confirm_password": NEW}
    assert (await browser.post(f"/api/password_confirm/{uid}/{token}/", body)).status == 200
    await mails(services)
    await browser.post("/api/password_reset/", {"email": ADDRESS})  # both links are void now: another one, at once
    assert len(await mails(services)) == 1
    assert (await browser.post("/api/password_confirm/{}/{}/".format(*link(second)), body)).status == 400


async def test_a_mail_that_does_not_get_through_is_tried_until_it_does(browser: Browser, services: Services) -> None:
    await join(browser, services)
    folder = services.settings.mail_dir
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    await browser.post("/api/password_reset/", {"email": ADDRESS})
    assert await services.mailer.deliver_one()
    folder.unlink()
    await browser.post("/api/password_reset/", {"email": ADDRESS})  # makes it due
    assert len(await mails(services)) == 1


# Sign in and out.


async def test_signing_in_sets_the_cookies_and_gives_no_token_away(browser: Browser, services: Services) -> None:
    await join(browser, services)
    answer = await browser.post("/api/login", {"email": f" {ADDRESS.upper()} ", "password": PASSWORD})
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
    assert browser.cookies["access_token"] not in answer.body.decode()
    assert (await browser.get("/api/video/")).json == []


async def test_whatever_is_wrong_at_sign_in_the_words_are_the_same(browser: Browser, services: Services) -> None:
    await join(browser, services)
    await register(browser, "inactive@example.org")
    await register(browser, "disabled@example.org")
    for mail in await mails(services):
        if "disabled" in mail["To"]:
            await browser.get("/api/activate/{}/{}/".format(*link(mail)))
    await services.people.change(0, 3, is_disabled=True)
    browser.cookies = {}
    for address, password in (
        (ADDRESS, PASSWORD + "x"),
        ("nobody@example.org", PASSWORD),
        ("inactive@example.org", PASSWORD),
        ("disabled@example.org", PASSWORD),
        ("no address", PASSWORD),
        (ADDRESS + "\0", PASSWORD),
        ("\uff56iewer@example.org", PASSWORD),  # a v of full width
    ):
        answer = await browser.post("/api/login/", {"email": address, "password": password})
        assert (answer.status, answer.json, browser.cookies) == (400, REFUSED, {}), address


async def test_a_stale_cookie_stops_nobody_from_signing_in(browser: Browser, services: Services) -> None:
    await join(browser, services)
    browser.cookies = {"access_token": "stale", "refresh_token": "stale"}
    await browser.log_in(ADDRESS, PASSWORD)
    assert (await browser.get("/api/me/")).status == 200


async def test_signing_out_ends_the_session_at_once(browser: Browser, services: Services) -> None:
    await join(browser, services)
    stolen = dict(browser.cookies)
    answer = await browser.fetch("POST", "/api/logout/", b"", Content_Type="application/json")
    assert (answer.status, answer.json["detail"]) == (
        200,
        "Logout successful! All tokens will be deleted. Refresh token is now invalid.",
    )
    lines = cookie_lines(answer)
    for name in ("access_token", "refresh_token"):
        assert "Max-Age=0" in lines[name]
        assert "Path=/" in lines[name]
    browser.cookies = {"access_token": stolen["access_token"]}
    denied = await browser.get("/api/video/")
    assert (denied.status, denied.json["code"]) == (401, "token_not_valid")
    browser.cookies = stolen
    assert (await browser.get("/api/video/")).status == 401
    assert (await browser.post("/api/token/refresh/")).status == 401


async def test_signing_out_without_a_session(browser: Browser) -> None:
    missing = await browser.fetch("POST", "/api/logout/", b"", Content_Type="application/json")
    assert (missing.status, missing.json) == (400, {"detail": "Refresh token is missing."})
    browser.cookies = {"refresh_token": "nonsense"}
    invalid = await browser.post("/api/logout/")
    assert (invalid.status, "refresh_token" in cookie_lines(invalid)) == (200, True)


# Reset the password.


async def test_a_password_is_reset_and_every_session_ends(browser: Browser, services: Services) -> None:
    await join(browser, services)
    other_device = dict(browser.cookies)
    browser.cookies = {}
    answer = await browser.post("/api/password_reset", {"email": f" {ADDRESS.upper()}"})
    assert (answer.status, answer.json) == (200, {"detail": "An email has been sent to reset your password."})
    (mail,) = await mails(services)
    assert mail["Subject"] == "Reset your password"
    uid, token = link(mail)
    path = f"/api/password_confirm/{uid}/{token}/"
    mismatch = await browser.post(path, {"new_password": NEW, "confirm_password": "different, by accident"})
    assert (mismatch.status, mismatch.json) == (400, {"confirm_password": ["Passwords do not match."]})
    weak = await browser.post(path, {"new_password": "password1", "confirm_password": "password1"})
    assert (weak.status, list(weak.json)) == (400, ["new_password"])
    done = await browser.post(path, {"new_password": NEW, "confirm_password": NEW})
    assert (done.status, done.json) == (200, {"detail": "Your Password has been successfully reset."})
    again = await browser.post(path, {"new_password": NEW, "confirm_password": NEW})
    assert (again.status, again.json) == (400, {"detail": "The link is invalid or has expired."})
    (notice,) = await mails(services)
    assert notice["Subject"] == "Your password was changed"
    assert (await browser.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    await browser.log_in(ADDRESS, NEW)
    browser.cookies = other_device
    assert (await browser.get("/api/me/")).status == 401


async def test_the_new_password_has_other_names_and_the_link_another_form(browser: Browser, services: Services) -> None:
    await join(browser, services)
    await browser.post("/api/password_reset/", {"email": ADDRESS})
    _, token = link((await mails(services))[0])
    body = {"new_password1": NEW, "new_password2": NEW}
    assert (await browser.post(f"/api/password_confirm/{token}/", body)).status == 200


async def test_a_reset_tells_nothing_about_accounts(browser: Browser, services: Services) -> None:
    await join(browser, services)
    known, unknown = [await browser.post("/api/password_reset/", {"email": who}) for who in (ADDRESS, "no@example.org")]
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert [mail["To"] for mail in await mails(services)] == [ADDRESS]
    assert (await browser.post("/api/password_reset/", {"email": "a@b"})).json == {
        "email": ["Enter a valid email address."]
    }


# Oneself.


async def test_one_sees_oneself_and_ones_sessions_and_ends_one(browser: Browser, services: Services) -> None:
    await join(browser, services)
    first = dict(browser.cookies)
    await browser.post("/api/login/", {"email": ADDRESS, "password": PASSWORD}, User_Agent="Television/1.0")
    me = (await browser.get("/api/me/")).json
    assert me.pop("created_at").endswith("Z")
    assert me == {"id": 1, "email": ADDRESS, "is_admin": False}
    sessions = (await browser.get("/api/me/sessions")).json["sessions"]
    assert [(session["device"], session["is_current"]) for session in sessions] == [
        ("Television/1.0", True),
        (sessions[1]["device"], False),
    ]
    assert sessions[0]["address"] == "127.0.0.1"
    ended = await browser.fetch("DELETE", f"/api/me/sessions/{sessions[1]['id']}/")
    assert ended.status == 200
    assert (await browser.fetch("DELETE", f"/api/me/sessions/{sessions[1]['id']}/")).status == 404
    assert (await browser.get("/api/me/")).status == 200
    browser.cookies = first
    assert (await browser.get("/api/me/")).status == 401


async def test_nobody_ends_a_session_of_somebody_else(browser: Browser, services: Services) -> None:
    await join(browser, services)
    (session,) = (await browser.get("/api/me/sessions/")).json["sessions"]
    first = dict(browser.cookies)
    await join(browser, services, "other@example.org")
    assert (await browser.fetch("DELETE", f"/api/me/sessions/{session['id']}/")).status == 404
    browser.cookies = first
    assert (await browser.get("/api/me/")).status == 200


async def test_one_deletes_ones_account_with_the_password(browser: Browser, services: Services) -> None:
    await join(browser, services)
    stolen = dict(browser.cookies)
    wrong = await browser.fetch("DELETE", "/api/me/", {"password": "not it, surely"})
    assert (wrong.status, wrong.json) == (400, {"password": ["The password is not right."]})
    gone = await browser.fetch("DELETE", "/api/me/", {"password": PASSWORD})
    assert (gone.status, "access_token" in browser.cookies) == (200, False)
    browser.cookies = stolen
    assert (await browser.get("/api/me/")).status == 401
    assert (await browser.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})).json == REFUSED
    await register(browser)  # the address is free again


async def test_the_last_admin_cannot_delete_himself(admin: Browser, services: Services) -> None:
    password = {"password": "correct horse battery"}
    for number in (2, 3):
        await services.accounts.make_admin(f"admin{number}@example.org", PASSWORD)
    await services.people.change(1, 2, is_disabled=True)
    await services.people.change(1, 3, is_active=False)
    last = await admin.fetch("DELETE", "/api/me/", password)
    assert (last.status, last.json) == (
        409,
        {"detail": "You are the last admin: make an admin of somebody else first."},
    )
    await services.people.change(1, 2, is_disabled=False)
    assert (await admin.fetch("DELETE", "/api/me/", password)).status == 200


async def test_the_csrf_cookie_is_to_be_had_and_comes_with_the_first_signed_in_get(
    browser: Browser, services: Services
) -> None:
    answer = await browser.get("/api/csrf/")
    assert (answer.json, "csrftoken" in browser.cookies) == ({"detail": "CSRF cookie set."}, True)
    await join(browser, services)
    del browser.cookies["csrftoken"]
    await browser.get("/api/video/")
    assert "csrftoken" in browser.cookies


async def test_a_body_may_be_empty_and_still_called_json(browser: Browser) -> None:
    for path in ("/api/logout/", "/api/token/refresh/"):
        answer = await browser.fetch("POST", path, b"", Content_Type="application/json")
        assert (answer.status, answer.json) == (400, {"detail": "Refresh token is missing."})
