"""Settings, read once from the environment and `.env`. `.env.example` describes each of them."""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from videoflix.cpu import count_usable_cores
from videoflix.email_address import normalize_address
from videoflix.errors import CommandError
from videoflix.memory import usable_memory

_GIB = 1024**3
_FOR_FFMPEG = 0.75  # of the memory of the machine
_LEAST_FFMPEG_MEMORY, _MOST_FFMPEG_MEMORY = 2 * _GIB, 12 * _GIB
_DEFAULT_PAGES_URL = "http://127.0.0.1:5500/pages/auth"


def _split_words(value: object) -> object:
    """Split a string at blanks and commas; return anything else unchanged."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _matching(pattern: str, message: str) -> AfterValidator:
    """Return a validator that accepts an empty string and what matches the pattern as a whole."""

    def check(value: str) -> str:
        if value and not re.fullmatch(pattern, value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


WordList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)]
DatabaseName = Annotated[str, _matching(r"[A-Za-z0-9_-]{1,60}", "should contain only letters, digits, - and _")]
LocationPath = Annotated[str, _matching(r"/[A-Za-z0-9_-]+/", "should look like /_files/")]
CookieDomain = Annotated[str, _matching(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", "should be a host name")]
PageUrl = Annotated[
    str,
    _matching(
        r"https?://[^\s/]+[^\s]*\{token\}[^\s]*",
        "should be a URL with {token}, and with {uid} if the page needs it",
    ),
]
SameSite = Annotated[Literal["Lax", "Strict", "None"], BeforeValidator(lambda text: str(text).capitalize())]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda text: str(text).upper())]


class Settings(BaseSettings):
    """The settings of a process: each field is the environment variable of the same name in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8-sig", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Folders.
    data_dir: Path = Path("var")
    media_root: Path = Path("media")

    # Servers.
    mongodb_uri: SecretStr = SecretStr("")
    mongodb_db: DatabaseName = "videoflix"
    redis_url: SecretStr = SecretStr("")

    # Web.
    secret_key: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    web_processes: int = Field(1, ge=1, le=64)
    metrics_token: SecretStr = SecretStr("")
    stop_seconds: float = Field(5.0, ge=0, le=600)
    public_url: str = ""
    cors_origins: WordList = (
        "http://127.0.0.1:5500",
        "http://localhost:5500",
        "http://127.0.0.1:4200",
        "http://localhost:4200",
    )
    accel_redirect: LocationPath = ""
    trusted_proxies: int = Field(0, ge=0, le=10)
    max_connections_per_address: int = Field(1000, ge=0, le=1_000_000)
    max_upload_gib: float = Field(50.0, gt=0, le=1_000_000)

    # Cookies and tokens.
    cookie_samesite: SameSite = "Lax"
    cookie_domain: CookieDomain = ""
    cookie_partitioned: bool = False
    access_token_minutes: float = Field(30.0, gt=0, le=24 * 60)
    refresh_token_days: float = Field(7.0, gt=0, le=400)  # browsers cap the lifetime of cookies at 400 days
    playback_token_hours: float = Field(12.0, gt=0, le=30 * 24)

    # Passwords: the cost of an argon2id hash, the number of hashes computed at once (0: one for each core), and a
    # factor for all rate limits (0: no limits).
    password_memory_mib: int = Field(19, ge=8, le=1024)
    password_iterations: int = Field(2, ge=1, le=20)
    password_lanes: int = Field(1, ge=1, le=8)
    password_threads: int = Field(0, ge=0, le=64)
    rate_limit_factor: float = Field(1.0, ge=0, le=1_000_000)

    # Registration: days until an unconfirmed account is deleted (0: never).
    unconfirmed_days: int = Field(7, ge=0, le=3650)

    # Pages of the frontend that mails link to, with placeholders for the account and the one-time token.
    frontend_activation_url: PageUrl = _DEFAULT_PAGES_URL + "/activate.html?uid={uid}&token={token}"
    frontend_reset_url: PageUrl = _DEFAULT_PAGES_URL + "/confirm_password.html?uid={uid}&token={token}"

    # Mail.
    email_host: str = ""
    email_port: int = Field(587, ge=1, le=65535)
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    email_use_tls: bool = True
    email_from: str = "Videoflix <noreply@videoflix.example>"
    mail_dir: Path = Field(default_factory=lambda values: values["data_dir"] / "mail")

    # The first admin, created by `up` and `createsuperuser`.
    admin_email: str = ""
    admin_password: SecretStr = SecretStr("")

    # Encoding and logging.
    worker_slots: int = Field(0, ge=0, le=64)
    ffmpeg_memory_gib: float = Field(0.0, ge=0, le=1_000_000)
    min_free_gib: float = Field(1.0, ge=0, le=1_000_000)
    log_level: LogLevel = "INFO"

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, value: str) -> str:
        """Return the URL as browsers write an origin: in lower case, without a trailing slash."""
        if value and not _is_origin(value):
            raise ValueError("should look like https://videoflix.example, without a path")
        return value.rstrip("/").lower()

    @field_validator("secret_key")
    @classmethod
    def _validate_secret_key(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 32:
            raise ValueError("should have at least 32 characters")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _validate_metrics_token(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 16:
            raise ValueError("should have at least 16 characters")
        return value

    @field_validator("email_from")
    @classmethod
    def _validate_email_from(cls, value: str) -> str:
        _, address = parseaddr(value)
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or re.search(r"[\r\n]", value):
            raise ValueError("should look like Videoflix <noreply@videoflix.example>")
        return value

    @field_validator("admin_email")
    @classmethod
    def _normalize_admin_email(cls, value: str) -> str:
        try:
            return normalize_address(value) if value else ""
        except ValueError:
            raise ValueError("should be an email address") from None

    @field_validator("cors_origins")
    @classmethod
    def _normalize_cors_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return the origins as browsers send them: in lower case, without a trailing slash."""
        if not all(map(_is_origin, value)):
            raise ValueError("should list origins such as https://app.example.org, without a path")
        return tuple(origin.lower().rstrip("/") for origin in value)

    @property
    def has_secure_cookies(self) -> bool:
        """Whether cookies are `Secure`: browsers send those over https only, so the public URL decides."""
        return self.public_url.startswith("https://")

    @property
    def local_url(self) -> str:
        """The URL of the web server on this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104  # compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables with which a child process uses the same servers, key and address."""
        return {
            "MONGODB_URI": self.mongodb_uri.get_secret_value(),
            "REDIS_URL": self.redis_url.get_secret_value(),
            "SECRET_KEY": self.secret_key.get_secret_value(),
            "DATA_DIR": str(self.data_dir),
            "HOST": self.host,
            "PORT": str(self.port),
        }

    @property
    def hashing_threads(self) -> int:
        """The number of passwords hashed at once; by default one for each core that this process may use."""
        return self.password_threads or count_usable_cores()

    @property
    def batch_slots(self) -> int:
        """The number of batch tasks that run at once; by default one for each core. Each uses two threads."""
        return self.worker_slots or count_usable_cores()

    @property
    def ffmpeg_memory(self) -> int:
        """Bytes that one ffmpeg may write to; by default a share of the memory for each slot, and enough for 4K video
        on a small machine too.
        """
        share = int(_FOR_FFMPEG * usable_memory() / self.batch_slots)
        return int(self.ffmpeg_memory_gib * _GIB) or min(max(share, _LEAST_FFMPEG_MEMORY), _MOST_FFMPEG_MEMORY)


def load_settings(**overrides: object) -> Settings:
    """Return the settings of this process; overrides that are None are ignored.

    Raises CommandError that names the variable which is not valid.
    """
    values = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**values)  # type: ignore[arg-type]  # pydantic checks their types
    except ValidationError as error:
        problems = [item for item in error.errors(include_input=False) if item["type"] != "default_factory_not_called"]
        raise CommandError("\n".join(map(_format_error, problems))) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise CommandError(f"The file .env cannot be read: {reason}.") from None


def _is_origin(text: str) -> bool:
    """Return whether the text is scheme, host and optional port, with at most a trailing slash."""
    return re.fullmatch(r"https?://[^\s/?#@]+/?", text, re.IGNORECASE) is not None


def _format_error(error: object) -> str:
    assert isinstance(error, dict)
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ").partition(", unable to parse")[0]
    return f"{name} is not valid: it {message}."
