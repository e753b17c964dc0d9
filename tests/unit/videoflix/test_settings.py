"""videoflix.settings: values from the environment and `.env`, valid and not."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from videoflix.cpu import count_usable_cores
from videoflix.errors import CommandError
from videoflix.memory import usable_memory
from videoflix.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / ".env.example"
# The first versions without the holes that advisories describe.
SAFE = {
    "tornado": "6.5.3",
    "pyjwt": "2.13",
    "python-multipart": "0.0.27",
    "jinja2": "3.1.6",
    "aiosmtpd": "1.4.6",
    "gunicorn": "22.0",
    "django": "5.2.8",
}


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


def test_a_utf_8_byte_order_mark_is_accepted_and_other_encodings_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b'\xef\xbb\xbfPORT=8001\r\nLOG_LEVEL="debug"\r\n')
    assert (load_settings().port, load_settings().log_level) == (8001, "DEBUG")
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    with pytest.raises(CommandError, match="it is not valid UTF-8"):
        load_settings()


def test_mails_lie_in_the_data_folder_unless_another_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    assert load_settings().mail_dir == Path("elsewhere/mail")
    monkeypatch.setenv("MAIL_DIR", "letters")
    assert load_settings().mail_dir == Path("letters")


def test_words_are_taken_as_people_write_them() -> None:
    settings = load_settings(cookie_samesite="none", admin_email=" Me@Example.ORG", public_url="https://A.example/")
    assert (settings.cookie_samesite, settings.admin_email) == ("None", "me@example.org")
    assert settings.public_url == "https://a.example"


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:8000"), ("0.0.0.0", "http://127.0.0.1:8000")])
def test_the_address_of_this_machine_is_one_that_a_browser_takes(host: str, url: str) -> None:
    assert load_settings(host=host).local_url == url


def test_a_container_has_as_many_cores_as_it_was_given(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    unlimited = count_usable_cores(quota)
    for text, cores in (("50000 100000", 1), ("max 100000", unlimited), ("9900000 100000", unlimited), ("", unlimited)):
        quota.write_text(text)
        assert count_usable_cores(quota) == cores


def test_origins_are_written_with_blanks_or_commas() -> None:
    assert load_settings(cors_origins="https://A.example/, http://b.example:81").cors_origins == (
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
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://videoflix.example/films"),
        ("MONGODB_DB", "a b"),
        ("ACCEL_REDIRECT", "files"),
        ("COOKIE_DOMAIN", "a; Secure"),
        ("MAX_UPLOAD_GIB", "inf"),
        ("REFRESH_TOKEN_DAYS", "1e12"),
        ("RATE_LIMIT_FACTOR", "nan"),
        ("FRONTEND_RESET_URL", "javascript:{token}"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example/page"),
        ("SECRET_KEY", "short"),
        ("METRICS_TOKEN", "short"),
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
    assert sentence.startswith(f"{variable} is not valid: it should ")
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


def test_a_container_has_as_much_memory_as_it_was_given(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    unlimited = usable_memory(limit)
    assert unlimited > 2**20
    for text, memory in (("1048576\n", 2**20), ("max\n", unlimited), (str(2**62), unlimited), ("", unlimited)):
        limit.write_text(text)
        assert usable_memory(limit) == memory


def test_the_memory_of_an_encoder_is_a_share_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 1024**3
    for memory, slots, given, expected in (
        (16 * gib, 2, 0, 6 * gib),
        (16 * gib, 2, 3.5, 3.5 * gib),
        (1 * gib, 4, 0, 2 * gib),
        (512 * gib, 2, 0, 12 * gib),
    ):
        monkeypatch.setattr("videoflix.settings.usable_memory", lambda memory=memory: memory)
        assert load_settings(worker_slots=slots, ffmpeg_memory_gib=given).ffmpeg_memory == expected


def test_the_lowest_allowed_versions_have_no_known_holes() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = "\n".join([config["options"]["install_requires"], *config["options.extras_require"].values()])
    required = [Requirement(line) for line in lines.splitlines() if line.strip() and not line.startswith("#")]
    floors = {
        item.name: Version(bound.version) for item in required for bound in item.specifier if bound.operator == ">="
    }
    for name, version in SAFE.items():
        assert floors[name] >= Version(version), name
    pinned = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    locked = {name.lower().replace("_", "-"): Version(version) for name, version in pinned.items()}
    for name, floor in floors.items():
        assert locked.get(name.lower(), floor) >= floor, name
