"""Every setting, read once from the environment and from `.env`; `.env.example` lists exactly these fields."""

from __future__ import annotations

import os
import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from videoflix.accounts.addresses import checked_address
from videoflix.errors import CommandError

_PAGES = "http://127.0.0.1:5500/pages/auth"


def _words(value: object) -> object:
    """Origins are written with blanks or commas between them."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """One field for each environment variable, named like it in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Where everything lies.
    data_dir: Path = Path("var")
    media_root: Path = Path("media")

    # Servers.
    mongodb_uri: SecretStr = SecretStr("")
    mongodb_db: str = Field("videoflix", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    redis_url: SecretStr = SecretStr("")

    # Web.
    secret_key: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    web_processes: int = Field(1, ge=1, le=64)
    public_url: str = ""
    cors_origins: Words = (
        "http://127.0.0.1:5500",
        "http://localhost:5500",
        "http://127.0.0.1:4200",
        "http://localhost:4200",
    )
    accel_redirect: str = Field("", pattern=r"^(/[A-Za-z0-9_-]+/)?$")
    trusted_proxies: int = Field(0, ge=0, le=10)
    max_upload_gib: float = Field(50.0, gt=0)

    # Cookies and tokens.
    cookie_samesite: Literal["Lax", "Strict", "None"] = "Lax"
    cookie_domain: str = ""
    cookie_partitioned: bool = False
    access_token_minutes: float = Field(30.0, gt=0)
    refresh_token_days: float = Field(7.0, gt=0)
    playback_token_hours: float = Field(12.0, gt=0)

    # Passwords: what an argon2id hash costs, and how many are computed at once. And how often one may try.
    password_memory_mib: int = Field(19, ge=8, le=1024)
    password_iterations: int = Field(2, ge=1, le=20)
    password_lanes: int = Field(1, ge=1, le=8)
    password_threads: int = Field(0, ge=0, le=64)
    rate_limit_factor: float = Field(1.0, ge=0)

    # Pages of the frontend that mails link to.
    frontend_activation_url: str = _PAGES + "/activate.html?uid={uid}&token={token}"
    frontend_reset_url: str = _PAGES + "/confirm_password.html?uid={uid}&token={token}"

    # Mail.
    email_host: str = ""
    email_port: int = Field(587, ge=1, le=65535)
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    email_use_tls: bool = True
    email_from: str = "Videoflix <noreply@videoflix.example>"
    mail_dir: Path = Path("var/mail")

    # The first admin, made by `up` and `createsuperuser`.
    admin_email: str = ""
    admin_password: SecretStr = SecretStr("")

    # Work.
    worker_slots: int = Field(0, ge=0, le=64)
    min_free_gib: float = Field(1.0, ge=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("public_url")
    @classmethod
    def _an_absolute_url(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("should begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 32:
            raise ValueError("should have at least 32 characters")
        return value

    @field_validator("frontend_activation_url", "frontend_reset_url")
    @classmethod
    def _names_the_token(cls, value: str) -> str:
        if "{token}" not in value:
            raise ValueError("should contain {token}, and {uid} where the page wants it")
        return value

    @field_validator("email_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        _, address = parseaddr(value)
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or re.search(r"[\r\n]", value):
            raise ValueError("should look like Videoflix <noreply@videoflix.example>")
        return value

    @field_validator("admin_email")
    @classmethod
    def _in_one_spelling(cls, value: str) -> str:
        try:
            return checked_address(value) if value else ""
        except ValueError:
            raise ValueError("should be an email address") from None

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
                raise ValueError(f"{origin} should look like https://app.example.org, without a path")
        return value

    @property
    def secure_cookies(self) -> bool:
        """Browsers send `Secure` cookies over https alone, so the public URL decides."""
        return self.public_url.startswith("https://")

    @property
    def local_url(self) -> str:
        """Where this machine reaches the web server."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104  # not bound, asked
        return f"http://{host}:{self.port}"

    def as_environment(self) -> dict[str, str]:
        """The variables that give a child process the servers, the key and the address of this one."""
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
        """How many passwords are hashed at once; by default one for each core."""
        return self.password_threads or os.cpu_count() or 1

    @property
    def slots(self) -> int:
        """How many bulk tasks run at once; by default one for each core; each of them uses two threads."""
        return self.worker_slots or os.cpu_count() or 1


def load_settings(**overrides: object) -> Settings:
    """The settings of this process. Raises CommandError with a sentence that names the variable."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them, and says which one is wrong
    except ValidationError as error:
        raise CommandError("\n".join(_sentence(item) for item in error.errors(include_input=False))) from None


def _sentence(item: object) -> str:
    assert isinstance(item, dict)
    name = str(item["loc"][0]).upper() if item["loc"] else "settings"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{name} is not valid: it {message}."
