"""One `up` a folder, and a new one only when nothing of the old is left."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from focushub_core.errors import ConfigurationError
from focushub_generator.local import lock


def test_a_second_owner_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    with (
        lock.held(tmp_path),
        pytest.raises(ConfigurationError, match=f"already running .process {os.getpid()}. in {tmp_path}"),
        lock.held(tmp_path),
    ):
        pass


def test_it_runs_exactly_while_the_lock_is_held(tmp_path: Path) -> None:
    seen = [lock.is_running(tmp_path)]
    with lock.held(tmp_path):
        seen.append(lock.is_running(tmp_path))
    assert [*seen, lock.is_running(tmp_path)] == [False, True, False]


def test_what_the_guard_still_holds_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock.held(tmp_path) as guards:
        inherited = os.dup(guards)
    said: list[str] = []
    pauses: list[float] = []

    def guard_ends(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            fcntl.flock(inherited, fcntl.LOCK_UN)

    monkeypatch.setattr(time, "sleep", guard_ends)
    with lock.held(tmp_path, say=said.append):
        assert (len(pauses), len(said)) == (3, 1)
    os.close(inherited)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match="cannot be made: Not a directory"),
        lock.held(tmp_path / "file"),
    ):
        pass
