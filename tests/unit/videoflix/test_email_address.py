"""videoflix.email_address: one normal form for each address, and no look-alikes."""

from __future__ import annotations

import time

import pytest

from videoflix.email_address import normalize_address, normalize_address_or_empty


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Viewer@Example.ORG\n", "viewer@example.org"),
        ("viewer+films@example.org", "viewer+films@example.org"),
        ("viewer@b\u00fccher.example", "viewer@xn--bcher-kva.example"),
        ("viewer@B\u00dcCHER.example", "viewer@xn--bcher-kva.example"),
        ("viewer@ex\u0430mple.org", "viewer@xn--exmple-4nf.org"),  # a Cyrillic a: another domain, and it shows
        ("viewer@\u212aelvin.example", "viewer@kelvin.example"),  # the Kelvin sign is a K
    ],
)
def test_an_address_has_one_spelling(given: str, kept: str) -> None:
    assert normalize_address(given) == kept == normalize_address_or_empty(given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "viewer",
        "viewer@",
        "@example.org",
        "a@b@example.org",
        "viewer@example",
        "vi\u0435wer@example.org",  # a Cyrillic e
        "\uff56iewer@example.org",  # a v of full width
        "viewer\0@example.org",
        "viewer@example.org\r\nBcc: other@example.org",
        "viewer@example.org, other@example.org",
        "Viewer <viewer@example.org>",
        "viewer@[127.0.0.1]",
        "v" * 65 + "@example.org",
        "viewer@" + "e" * 250 + ".org",
    ],
)
def test_an_invalid_address_is_refused_and_belongs_to_no_account(given: str) -> None:
    with pytest.raises(ValueError, match="Enter a valid email address"):
        normalize_address(given)
    assert normalize_address_or_empty(given) == ""


def test_a_megabyte_is_refused_as_fast_as_a_short_text() -> None:
    """The event loop waits for this."""

    def seconds(text: str) -> float:
        begin = time.perf_counter()
        normalize_address_or_empty(text)
        return time.perf_counter() - begin

    seconds("viewer@example.org")
    usual = min(seconds("viewer@example.org") for _ in range(5))
    for endless in ("v" * 1_000_000 + "@example.org", "viewer@" + "e." * 500_000 + "org"):
        assert min(seconds(endless) for _ in range(3)) < 100 * usual
