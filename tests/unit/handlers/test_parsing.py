"""handlers/parsing.py: bodies and queries become models, or errors that name every bad field."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from handlers.parsing import parse_body, parse_query
from handlers.schemas import Credentials, PasswordReset, ProgressReport, VideoListQuery
from videoflix.errors import BadRequest, FieldErrors


def make_request(uri: str = "/", body: bytes = b"", content_type: str = "application/json") -> HTTPServerRequest:
    start_line = RequestStartLine("POST", uri, "HTTP/1.1")
    headers = HTTPHeaders({"Host": "localhost", "Content-Type": content_type})
    request = HTTPServerRequest(start_line=start_line, headers=headers, body=body)
    request._parse_body()
    return request


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "text/plain", ""])
def test_a_json_object_is_a_body_whatever_its_content_type(content_type: str) -> None:
    body = parse_body(make_request(body=b'{"position": 1.5, "unknown": []}', content_type=content_type), ProgressReport)
    assert (body.position, body.duration, body.finished) == (1.5, None, None)


def test_of_a_repeated_form_field_the_last_value_counts() -> None:
    form = make_request(body=b"email=a@b.c&password=1&password=2", content_type="application/x-www-form-urlencoded")
    assert parse_body(form, Credentials).password == "2"


@pytest.mark.parametrize(
    ("body", "position"),
    [(b"{", "line 1 column 2"), (b"\n{]", "line 2 column 2"), (b"\xff", "body"), (b"[" * 100_000, "body")],
)
def test_malformed_json_is_reported_by_its_position_alone(body: bytes, position: str) -> None:
    with pytest.raises(BadRequest) as raised:
        parse_body(make_request(body=body), Credentials)
    assert raised.value.body == {"detail": f"JSON parse error - {position}"}


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="an object is expected"):
        parse_body(make_request(body=body), Credentials)


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}"])
def test_an_empty_body_lacks_every_required_field(body: bytes) -> None:
    with pytest.raises(FieldErrors) as raised:
        parse_body(make_request(body=body), Credentials)
    assert raised.value.fields == {key: ["This field is required."] for key in ("email", "password")}


def test_errors_of_single_fields_and_across_fields_come_together() -> None:
    body = b'{"new_password": "correct horse battery", "confirm_password": "x"}'
    with pytest.raises(FieldErrors) as raised:
        parse_body(make_request(body=body), PasswordReset)
    assert raised.value.fields == {"confirm_password": ["Passwords do not match."]}
    with pytest.raises(FieldErrors) as raised:
        parse_body(make_request(body=body.replace(b"correct horse battery", b"1")), PasswordReset)
    assert sorted(raised.value.fields) == ["confirm_password", "new_password"]


def test_empty_parameters_of_a_query_count_as_absent() -> None:
    query = parse_query(make_request("/?search=&limit=&offset=1&offset=+2+&page=7"), VideoListQuery)
    assert query == VideoListQuery(offset=2)
    with pytest.raises(FieldErrors) as raised:
        parse_query(make_request("/?limit=0&ordering=password"), VideoListQuery)
    assert sorted(raised.value.fields) == ["limit", "ordering"]
