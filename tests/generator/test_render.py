"""A stack appears whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from focushub_core import stack
from focushub_core.errors import ConfigurationError
from focushub_generator import render, secrets, vendor
from focushub_generator.compare import differences
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

SPEC = stack_spec("my-stack")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    render.generate(SPEC, tmp_path / "made")
    return tmp_path / "made"


def test_it_holds_what_was_planned_and_what_git_ignores(made: Path) -> None:
    planned = set(plan(SPEC, inventory()).files)
    assert {file for file in files(made) - planned if not file.startswith("vendor/")} == {".env"}
    assert planned - files(made) == set()
    assert len(list((made / "vendor").glob("focushub_core-*.whl"))) == 1


def test_its_file_is_read_by_the_library_and_says_what_the_spec_says(made: Path) -> None:
    read = stack.load(made)
    assert read.name == SPEC.name
    assert tuple(read.services.values()) == SPEC.services
    assert (read.load_balancer.port, read.gateway.port, read.gateway.replicas, read.redis.port) == (
        8080,
        3000,
        2,
        6379,
    )
    limits = {name: (limit.quota, limit.window, limit.by) for name, limit in read.limits.items()}
    assert limits == {
        "user": (600, 60, "user"),
        "address": (120, 60, "address"),
        "login": (30, 60, "address"),
        "refresh": (120, 60, "address"),
    }


def test_two_runs_give_the_same_files_and_share_no_secret(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    render.generate(SPEC, first)
    render.generate(SPEC, second)
    assert differences(first, second) == []
    secrets = [
        set(re.findall(r"^\w+=(.+)$", (made / ".env").read_text(), re.MULTILINE)) for made in (first, second)
    ]
    assert len(secrets[0]) == len(secrets[1]) == 14
    assert secrets[0] & secrets[1] == set()


def test_no_secret_stands_in_a_file_that_git_knows(made: Path) -> None:
    secrets = re.findall(r"^\w+=(.+)$", (made / ".env").read_text(), re.MULTILINE)
    known = "".join((made / file).read_text() for file in plan(SPEC, inventory()).files)
    assert [secret for secret in secrets if secret in known] == []


def test_the_callers_working_directory_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    render.generate(SPEC, Path("made"))
    assert Path.cwd() == tmp_path
    assert (tmp_path / "made" / "focushub.toml").is_file()


def test_bytecode_beside_the_templates_is_not_copied(made: Path) -> None:
    assert [name for name in names(made) if "__pycache__" in name or name.endswith(".pyc")] == []


def test_a_run_bit_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("#!/bin/sh\n")
    for mode in (0o755, 0o644):
        source.chmod(mode)
        render._copy(source, tmp_path / f"copy-{mode}")
        assert bool((tmp_path / f"copy-{mode}").stat().st_mode & stat.S_IXUSR) == (mode == 0o755)


# Where it may not be written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["file", ".hidden", "folder/"])
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, content: str) -> None:
    if content.endswith("/"):
        (tmp_path / content).mkdir()
    else:
        (tmp_path / content).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(ConfigurationError, match="not empty"):
        render.generate(SPEC, tmp_path)
    assert names(tmp_path) == before


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ConfigurationError, match="is a file"):
        render.generate(SPEC, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_empty_folder_is_filled_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o750)
    render.generate(SPEC, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert (target / "focushub.toml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_the_folder_that_one_stands_in_stays_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename would leave the shell in a folder that is gone."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    render.generate(SPEC, Path())
    assert tmp_path.stat().st_ino == before
    assert Path("focushub.toml").is_file()
    assert [name for name in names(tmp_path) if name.startswith(".focushub-")] == []


def test_folders_above_are_made(tmp_path: Path) -> None:
    render.generate(SPEC, tmp_path / "a" / "b c" / "made")
    assert (tmp_path / "a" / "b c" / "made" / "focushub.toml").is_file()


# Failures in the middle ------------------------------------------------------------------------------------------


def fail_at(monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException) -> None:
    """Makes the named step of the way fail with ``error``."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    calls = iter(range(1000))
    copy = render._copy

    def fail_later(source: Path, target: Path) -> None:
        if next(calls) % 6 == 5:
            raise error
        copy(source, target)

    targets: dict[str, tuple[Any, str, Any]] = {
        "the first file": (render, "_render", fail),
        "a file in the middle": (render, "_copy", fail_later),
        "the secrets": (secrets, "write_env", fail),
        "the wheel": (vendor, "write_wheel", fail),
        "the last move": (Path, "rename", fail),
    }
    monkeypatch.setattr(*targets[place])


PLACES = ["the first file", "a file in the middle", "the secrets", "the wheel", "the last move"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(143)]
)
def test_a_failure_anywhere_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    (tmp_path / "empty").mkdir()
    fail_at(monkeypatch, place, error)
    for target in ("new", "a/b/new", "empty"):
        with pytest.raises(type(error)):
            render.generate(SPEC, tmp_path / target)
    monkeypatch.undo()
    assert names(tmp_path) == {"empty"}


@pytest.mark.parametrize("moves", [0, 3])
def test_a_failure_while_moving_into_the_folder_one_stands_in_leaves_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    monkeypatch.chdir(tmp_path)
    calls = iter(range(1000))
    rename = Path.rename

    def fail_after(self: Path, target: Any) -> Path:
        if next(calls) == moves:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_after)
    with pytest.raises(OSError, match="Input/output"):
        render.generate(SPEC, tmp_path)
    monkeypatch.undo()
    assert names(tmp_path) == set()


def test_a_folder_that_was_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"

    def make(staging: Path) -> Path:
        made = staging / "made"
        made.mkdir()
        target.mkdir()
        (target / "mine").write_text("mine")
        return made

    with pytest.raises(OSError, match=r"not empty|exists"):
        render.write_whole(target, make)
    assert names(tmp_path) == {"target", "target/mine"}


def test_a_closed_parent_does_not_matter_when_the_folder_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written beside the folder then. (The answer is feigned: root may write anywhere.)"""
    (tmp_path / "target").mkdir()
    access, mkdtemp = os.access, tempfile.mkdtemp
    staged: list[Path] = []

    def closed(path: Any, mode: int) -> bool:
        return Path(path) != tmp_path and access(path, mode)

    def watching(**options: Any) -> str:
        staged.append(Path(options["dir"]))
        return str(mkdtemp(**options))

    monkeypatch.setattr(os, "access", closed)
    monkeypatch.setattr(tempfile, "mkdtemp", watching)
    render.generate(SPEC, tmp_path / "target")
    assert staged[0] == tmp_path / "target"
    assert (tmp_path / "target" / "focushub.toml").is_file()
