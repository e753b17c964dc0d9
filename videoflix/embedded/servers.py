"""Command lines, configuration and passwords of the embedded database and Redis.

Both listen on loopback alone, and both require a password, because every user of the machine can reach loopback.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from videoflix.embedded import binaries
from videoflix.embedded.database_password import USER, ensure_database_password

DATABASE_DIR_NAME = "database"  # its folder in the data folder


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A server on loopback: its command line, the URL for its clients, and its log.

    `panic_marker` is in the log when the server has stopped responding although its process goes on running.
    """

    name: str
    argv: tuple[str, ...]
    url: str
    port: int
    log_path: Path
    panic_marker: bytes = b""

    def is_listening(self) -> bool:
        """Return whether it accepts connections."""
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def find_free_port() -> int:
    """Return a TCP port of loopback that is free at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_database_server(data_dir: Path) -> ServerSpec:
    """Return SecantusDB with its data in a folder of `data_dir`, and a password that only this user can read.

    Raises CommandError if it is not installed, or the password cannot be set.
    """
    program, folder = binaries.find_database_server(), data_dir / DATABASE_DIR_NAME
    _make_private(folder)
    config = folder / "secantusd.toml"
    config.touch(mode=0o600)
    port, password = find_free_port(), ensure_database_password(program, folder.resolve())
    argv = (
        program,
        *("--config", str(config.resolve())),  # empty; else the server looks for one in the working directory
        *("--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder.resolve())),
        "--sync-on-commit",  # without it, a kill loses the last acknowledged writes
        *("--auth", "--standalone", "--cache-size", "256M", "--log-level", "WARNING"),
    )
    url = f"mongodb://{USER}:{password}@127.0.0.1:{port}/?authSource=admin&directConnection=true"
    # On a full disk its storage engine panics and expects the process to exit, but the process does not.
    return ServerSpec("database", argv, url, port, data_dir / "database.log", panic_marker=b"WT_PANIC")


def make_redis_server(data_dir: Path) -> ServerSpec:
    """Return redis-server with an append-only file below `data_dir`, and a password that only this user can read."""
    program, folder = binaries.find_redis_server(), data_dir / "redis"
    _make_private(folder)
    port, password = find_free_port(), secrets.token_hex(24)
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.chmod(0o600)
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quote(folder.resolve())}\n"
        'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\nloglevel warning\n'
    )
    return ServerSpec(
        "redis", (program, str(config)), f"redis://:{password}@127.0.0.1:{port}/0", port, data_dir / "redis.log"
    )


def _make_private(folder: Path) -> None:
    """Make a folder that its owner alone can enter, or make it such."""
    folder.mkdir(0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _quote(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
