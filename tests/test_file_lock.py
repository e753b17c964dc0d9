"""transcode.file_lock: locks on files exclude other processes, and shared ones do not exclude each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcode import try_lock


@pytest.mark.parametrize(
    ("holder_is_shared", "is_shared", "is_granted"),
    [(False, False, False), (False, True, False), (True, False, False), (True, True, True)],
)
def test_only_shared_locks_are_held_at_once(
    tmp_path: Path, holder_is_shared: bool, is_shared: bool, is_granted: bool
) -> None:
    path = tmp_path / "lock"
    with path.open("w") as holder, path.open("r") as other:
        assert try_lock(holder, shared=holder_is_shared)
        assert try_lock(other, shared=is_shared) is is_granted


def test_a_lock_ends_when_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as holder:
        assert try_lock(holder)
    with path.open("r") as other:
        assert try_lock(other)
