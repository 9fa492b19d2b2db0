"""The comparison names every file that differs, in both directions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from focushub_generator import compare, render
from focushub_generator.compare import Difference, differences
from focushub_generator.resources import LEFT_OUT
from focushub_generator.spec import stack_spec


@pytest.fixture
def made(tmp_path: Path) -> Path:
    render.generate(stack_spec("my-stack"), tmp_path / "made")
    return tmp_path / "made"


def change_a_byte(root: Path) -> None:
    path = root / "docker" / "healthcheck.py"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def change_a_run_bit(root: Path) -> None:
    (root / "docker" / "healthcheck.py").chmod(0o755)


def add_a_file(root: Path) -> None:
    (root / "shared" / "new").mkdir()
    (root / "shared" / "new" / "more.py").write_text("")


def remove_a_file(root: Path) -> None:
    (root / ".gitignore").unlink()


def replace_by_a_link(root: Path) -> None:
    path = root / ".gitignore"
    path.rename(root / "vendor" / "copy")
    path.symlink_to(root / "vendor" / "copy")


DRIFTS: list[tuple[Callable[[Path], None], Difference]] = [
    (change_a_byte, Difference("docker/healthcheck.py", "content")),
    (change_a_run_bit, Difference("docker/healthcheck.py", "run bit")),
    (add_a_file, Difference("shared/new/more.py", "extra")),
    (remove_a_file, Difference(".gitignore", "missing")),
    (replace_by_a_link, Difference(".gitignore", "content")),
]


@pytest.mark.parametrize(("drift", "expected"), DRIFTS)
def test_a_drift_is_named_said_how_to_mend_and_mended(
    made: Path, drift: Callable[[Path], None], expected: Difference
) -> None:
    drift(made)
    result = CliRunner().invoke(compare.main, [str(made)])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        str(expected),
        f"To regenerate: python -m focushub_generator.compare {made} --write",
    ]
    assert CliRunner().invoke(compare.main, [str(made), "--write"]).exit_code == 0
    again = CliRunner().invoke(compare.main, [str(made)])
    assert (again.exit_code, again.output) == (0, "")
    assert not (made / "shared" / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no run bits")
def test_what_git_ignores_does_not_count_and_stays(made: Path) -> None:
    env = (made / ".env").read_text()
    (made / ".focushub").mkdir()
    (made / ".focushub" / "data").write_text("x")
    (made / "shared" / "__pycache__").mkdir()
    (made / "shared" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert CliRunner().invoke(compare.main, [str(made), "--write"]).output == ""
    assert (made / ".env").read_text() == env
    assert (made / ".focushub" / "data").exists()


@pytest.mark.parametrize("there", [False, True])
def test_an_example_that_is_not_there_is_written(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "my-stack"
    if there:
        target.mkdir()
    assert CliRunner().invoke(compare.main, [str(target), "--write"]).exit_code == 0
    assert CliRunner().invoke(compare.main, [str(target)]).output == ""
    assert not (target / ".env").exists()


def test_a_folder_without_a_stack_is_one_clear_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(compare.main, [str(tmp_path)])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "there is no focushub.toml" in result.output


def test_every_name_that_is_left_out_is_one_that_git_ignores_in_a_stack(made: Path) -> None:
    ignored = {line.strip("/") for line in (made / ".gitignore").read_text().splitlines()}
    assert {name for name in LEFT_OUT - {".git"} if name not in ignored} == set()


def test_equal_trees_have_no_differences(made: Path) -> None:
    assert differences(made, made) == []
