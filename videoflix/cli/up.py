"""`videoflix up`: run everything that Videoflix needs on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import structlog
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.panel import Panel

from videoflix import logs
from videoflix.bootstrap.web import listen
from videoflix.cli import first_start
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.cli.first_start import AdminLogin
from videoflix.cli.processes import Host, Port, build_command
from videoflix.embedded import binaries, processes, servers
from videoflix.embedded.data_dir import DataDir, RunningInstance
from videoflix.embedded.supervisor import STOP_GRACE_S, Supervisor
from videoflix.errors import CommandError, ServiceError
from videoflix.settings import Settings
from videoflix.startup_checks import hold_lock, require_media_root

Demo = Annotated[bool, typer.Option(help="Create a short demo video at the first start.")]

_log = structlog.get_logger(__name__)

_SHUTDOWN_MARGIN_S = 3.0  # from the last response to the exit of the web process
_START_TIMEOUT_S = 30.0  # for each server to respond


def up(host: Host = None, port: Port = None, data_dir: DataDirOption = None, demo: Demo = True) -> None:
    """Run everything: database, Redis, web server and worker."""
    settings = load_command_settings(data_dir, needs_servers=False, host=host, port=port)
    logs.configure("up", settings.log_level)
    data_folder, media_root = DataDir(settings.data_dir), settings.media_root
    data_folder.create()
    require_media_root(media_root)
    binaries.find_ffmpeg_binaries()
    with data_folder.hold_lock(), hold_lock(media_root / ".lock", f"the media folder {media_root}", "MEDIA_ROOT"):
        _Launcher(settings, data_folder).run(demo)


class _Launcher:
    """One run of `up`: starts the processes in the order of their dependencies."""

    def __init__(self, settings: Settings, data_dir: DataDir) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._supervisor = Supervisor(max(STOP_GRACE_S, settings.stop_seconds + _SHUTDOWN_MARGIN_S))

    def run(self, demo: bool) -> None:
        """Block until SIGTERM or SIGINT, and leave no process behind."""
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._supervisor.request_stop)
        for sock in listen(self._settings):  # fail on a port in use before anything is started
            sock.close()
        try:
            self._start_servers()
            admin_login = asyncio.run(first_start.ensure_admin(self._settings, self._data_dir))
            self._start_processes()
            self._wait_for(self._is_web_ready, "The web process")
            if not self._supervisor.is_stopping:
                self._print_banner(admin_login)
            if demo and not self._supervisor.is_stopping:
                self._make_demo_video()
            self._supervisor.watch()
        finally:
            self._supervisor.stop()

    def _start_servers(self) -> None:
        """Start the servers that are not configured, at the same time, and wait until they accept connections."""
        urls: dict[str, SecretStr] = {}
        started = []
        for variable, make in (("mongodb_uri", servers.make_database_server), ("redis_url", servers.make_redis_server)):
            if not getattr(self._settings, variable).get_secret_value():
                server = make(self._data_dir.path)
                self._supervisor.start(server.name, server.argv, {}, server.log_path, panic_marker=server.panic_marker)
                started.append(server)
                urls[variable] = SecretStr(server.url)
        self._settings = self._settings.model_copy(update=urls)
        for server in started:
            read_detail = partial(processes.read_last_line, server.log_path)
            self._wait_for(server.is_listening, f"The embedded {server.name}", read_detail)

    def _start_processes(self) -> None:
        settings = self._settings
        servers = settings.mongodb_uri.get_secret_value(), settings.redis_url.get_secret_value()
        self._data_dir.save_running(RunningInstance(*servers, str(settings.media_root.resolve())))
        self._supervisor.next_group()
        for name in ("web", "worker"):
            self._supervisor.start(name, build_command(name), settings.as_environment())

    def _make_demo_video(self) -> None:
        """Create the demo video. Failing to is logged, and not fatal."""
        try:
            asyncio.run(first_start.ensure_demo_video(self._settings, lambda: self._supervisor.is_stopping))
        except (CommandError, ServiceError) as error:
            if not self._supervisor.is_stopping:
                _log.warning("demo_video_skipped", error=str(error))

    def _wait_for(self, is_ready: Callable[[], bool], name: str, read_detail: Callable[[], str] = lambda: "") -> None:
        try:
            self._supervisor.wait_for(is_ready, _START_TIMEOUT_S)
        except TimeoutError:
            raise CommandError(f"{name} did not start within {_START_TIMEOUT_S:.0f} seconds. {read_detail()}") from None

    def _is_web_ready(self) -> bool:
        address = urlsplit(self._settings.local_url)
        try:
            with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=1)) as connection:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
        except OSError:
            return False

    def _print_banner(self, admin_login: AdminLogin) -> None:
        url = self._settings.public_url or self._settings.local_url
        lines = [
            f"Watch      {url}/",
            *self._network_lines(),
            f"API        {url}/api/video/",
            f"Health     {url}/readyz",
            f"Sign in    {admin_login.email}",
            f"Password   {admin_login.password or '(the one you set)'}",
            f"Data       {self._data_dir.path.resolve()}",
            f"Videos     {self._settings.media_root.resolve()}",
            *self._mail_lines(),
            "Stop       Ctrl-C",
        ]
        console = Console(highlight=False, markup=False, soft_wrap=True)
        console.print(Panel.fit("\n".join(lines), title="Videoflix is running", padding=(1, 2)))

    def _network_lines(self) -> Sequence[str]:
        """Return the address for other devices, if the server listens on all interfaces and there is a network."""
        if self._settings.public_url or self._settings.host not in ("0.0.0.0", "::"):  # noqa: S104  # not bound here
            return []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.connect(("192.0.2.1", 9))  # RFC 5737: sends nothing, but makes the kernel choose a source address
            return [f"Elsewhere  http://{probe.getsockname()[0]}:{self._settings.port}/"]
        return []

    def _mail_lines(self) -> Sequence[str]:
        """Return the folder in which mails are written as files, if there is no mail server."""
        return [] if self._settings.email_host else [f"Mails      {self._settings.mail_dir.resolve()}"]
