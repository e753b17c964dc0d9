"""The arrows between packages point inwards: every module's imports are read and checked."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for package in ("videoflix", "handlers", "transcode") for path in (ROOT / package).rglob("*.py"))
OUTERMOST = ("videoflix.bootstrap", "videoflix.cli", "videoflix.__main__")


def imports(path: Path) -> Iterator[str]:
    """Full names of what a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def forbidden(module: str) -> tuple[str, ...]:
    """What this module may not import."""
    if is_in(module, *OUTERMOST):
        return ("motor",) if is_in(module, "videoflix.cli") else ()
    if is_in(module, "handlers"):
        drivers = ("motor", "pymongo", "bson", "redis", "transcode")
        return (*drivers, "videoflix.stores", "videoflix.embedded", *OUTERMOST)
    drivers = () if is_in(module, "videoflix.stores") else ("motor", "pymongo", "bson")
    return ("handlers", "transcode", "tornado", *drivers, *OUTERMOST)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_inwards(path: Path) -> None:
    module = name_of(path)
    if is_in(module, "transcode"):
        allowed = ["transcode"]
        allowed += ["redis"] if is_in(module, "transcode.ledger") else []
        allowed += ["langcodes"] if is_in(module, "transcode.hls.languages") else []
        wrong = [name for name in imports(path) if name.split(".")[0] not in sys.stdlib_module_names]
        assert [name for name in wrong if not is_in(name, *allowed)] == []
    else:
        assert [name for name in imports(path) if is_in(name, *forbidden(module))] == []


def test_there_are_no_cycles_between_packages() -> None:
    """handlers -> videoflix <- composition; transcode stands alone."""
    packages = {name_of(path): {name.split(".")[0] for name in imports(path)} for path in MODULES}
    inner = [seen for name, seen in packages.items() if is_in(name, "videoflix") and not is_in(name, *OUTERMOST)]
    assert not any({"handlers", "transcode"} & seen for seen in inner)
