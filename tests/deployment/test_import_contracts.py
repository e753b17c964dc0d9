"""The contracts of import-linter in setup.cfg: they hold, and each border between rooms is guarded by one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("handlers", "transcode", "videoflix")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their contracts."""
    folder = tmp_path_factory.mktemp("tree")
    for package in _PACKAGES:
        shutil.copytree(_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "setup.cfg", folder)
    return folder


def _lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def test_the_contracts_hold(tree: Path) -> None:
    result = _lint_imports(tree)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("transcode.grid", "transcode.worker.worker"),
        ("transcode.ffmpeg.inputs", "transcode.tasks.registry"),
        ("transcode.probe.source", "transcode.hls.playlists"),
        ("transcode.tasks.registry", "transcode.worker.worker"),
        ("transcode.tasks.chunk", "structlog"),
        ("transcode.worker.worker", "redis"),
        ("transcode.worker.worker", "videoflix.settings"),
        ("transcode.ladder", "pydantic"),
        ("videoflix.catalogue.service", "redis"),
        ("videoflix.catalogue.service", "videoflix.viewing.service"),
        ("videoflix.models", "videoflix.accounts.service"),
        ("videoflix.stores.users", "videoflix.accounts.service"),
        ("videoflix.media.published_names", "videoflix.accounts.service"),
        ("videoflix.media.service", "transcode.engine"),
        ("videoflix.auth.sessions", "videoflix.mail.outbox"),
        ("videoflix.settings", "videoflix.stores.users"),
        ("videoflix.services", "handlers.base"),
        ("videoflix.accounts.service", "tornado.web"),
        ("videoflix.cli.videos", "pymongo"),
        ("handlers.base", "handlers.accounts"),
        ("handlers.cookies", "handlers.base"),
        ("handlers.tornado_internals.connections", "handlers.server"),
        ("handlers.me", "handlers.accounts"),
        ("handlers.videos", "redis"),
        ("handlers.videos", "motor.motor_asyncio"),
        ("handlers.videos", "transcode.ladder"),
        ("handlers.videos", "videoflix.stores.videos"),
    ],
)
def test_a_forbidden_import_breaks_a_contract(tree: Path, module: str, imported: str) -> None:
    path = tree.joinpath(*module.split(".")).with_suffix(".py")
    source = path.read_text()
    path.write_text(f"{source}\nimport {imported}\n")
    try:
        result = _lint_imports(tree)
    finally:
        path.write_text(source)
    assert result.returncode == 1, result.stderr
    line_number = source.count("\n") + 2
    shown = imported if imported.split(".")[0] in _PACKAGES else imported.split(".")[0]
    assert f"{module} -> {shown} (l.{line_number})" in result.stdout


@pytest.mark.parametrize("package", _PACKAGES)
def test_a_module_without_a_layer_is_refused(tree: Path, package: str) -> None:
    path = tree / package / "unlisted.py"
    path.write_text('"""A new room."""\n')
    try:
        result = _lint_imports(tree)
    finally:
        path.unlink()
    assert result.returncode == 1
    assert f"{package}.unlisted" in result.stdout


def test_transcode_may_import_few_libraries() -> None:
    config = ConfigParser()
    config.read(_ROOT / "setup.cfg", encoding="utf-8")
    requirements = config["options"]["install_requires"].split()
    distributions = {_normalize(item.split("[")[0].split(">")[0]) for item in requirements}
    libraries = {
        module
        for module, owners in packages_distributions().items()
        if distributions & set(map(_normalize, owners)) and not module.startswith("_") and module.isidentifier()
    }
    forbidden = set(config["importlinter:contract:transcode-stands-alone"]["forbidden_modules"].split())
    assert libraries - {"gridfs", "multipart"} - forbidden == {"langcodes", "redis", "structlog"}


def _normalize(distribution: str) -> str:
    return distribution.lower().replace("_", "-")
