"""Settings: what a person writes into the environment or `.env`, right and wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from videoflix.errors import CommandError
from videoflix.settings import Settings, load_settings

EXAMPLE = Path(__file__).parent.parent / ".env.example"


@pytest.fixture(autouse=True)
def _no_dot_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_example_lists_exactly_the_settings() -> None:
    listed = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def test_the_example_is_valid_as_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    assert load_settings().mongodb_db == "videoflix"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8001\nHOST=::1\n")
    monkeypatch.setenv("PORT", "8002")
    assert (load_settings().port, load_settings().host) == (8002, "::1")


def test_origins_are_written_with_blanks_or_commas() -> None:
    assert load_settings(cors_origins="https://a.example, http://b.example:81").cors_origins == (
        "https://a.example",
        "http://b.example:81",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("ADMIN_EMAIL", "admin"),
        ("PORT", "70000"),
        ("PUBLIC_URL", "videoflix.example"),
        ("CORS_ORIGINS", "https://a.example/page"),
        ("SECRET_KEY", "short"),
        ("COOKIE_SAMESITE", "sometimes"),
        ("ACCESS_TOKEN_MINUTES", "-1"),
        ("FRONTEND_RESET_URL", "http://pages.example/"),
        ("EMAIL_PORT", "0"),
        ("EMAIL_FROM", "Videoflix"),
        ("WORKER_SLOTS", "many"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CommandError) as raised:
        load_settings()
    sentence = str(raised.value)
    assert sentence.startswith(f"{variable} is not valid: it ")
    assert sentence.count("\n") == 0


def test_a_secret_is_never_printed() -> None:
    settings = load_settings(secret_key="s" * 40, redis_url="redis://:hidden@localhost")
    assert "ssss" not in repr(settings)
    assert "hidden" not in repr(settings)


def test_a_wrong_secret_is_not_told_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "too-short-secret")
    with pytest.raises(CommandError) as raised:
        load_settings()
    assert "too-short-secret" not in str(raised.value)
