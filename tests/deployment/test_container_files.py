"""Container files, Makefile and packaging: they contain what the code needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.processes import require_program
from videoflix.settings import Settings

ROOT = Path(__file__).parents[2]


def test_compose_starts_from_the_example_settings(tmp_path: Path) -> None:
    compose = require_program("docker-compose")
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    done = subprocess.run([compose, "config", "--services"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"mongo", "redis", "web", "worker"}


def test_every_variable_that_compose_sets_is_a_setting() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    block = text.split("environment: &environment\n")[1].split("volumes:")[0]
    names = [line.split(":")[0].strip().lower() for line in block.splitlines() if line.strip()]
    assert names
    assert set(names) <= set(Settings.model_fields)


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert "\nUSER 1000" in (ROOT / "Dockerfile").read_text()
