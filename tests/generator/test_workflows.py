"""The workflows: this repository's own, and the one that a new stack brings."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from focushub_generator import cli, render
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

ROOT = Path(__file__).resolve().parents[2]
FILE = ".github/workflows/ci.yml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new stack's files."""
    return render.carry_out(plan(stack_spec("my-stack"), inventory()), tmp_path_factory.mktemp("workflows"))


@pytest.fixture(scope="module")
def jobs(made: Path) -> dict[str, Any]:
    """The jobs of the stack's workflow."""
    return dict(yaml.safe_load((made / FILE).read_text())["jobs"])


def scripts(jobs: dict[str, Any]) -> list[str]:
    """Everything that is run in a shell."""
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("whose", ["ours", "a stack's"])
def test_a_workflow_is_as_its_schema_wants_and_may_only_read(made: Path, whose: str) -> None:
    root = ROOT if whose == "ours" else made
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", FILE]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load((root / FILE).read_text())["permissions"] == {"contents": "read"}


def test_our_own_runs_what_everybody_runs() -> None:
    job = yaml.safe_load((ROOT / FILE).read_text())["jobs"]["everything"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert os.access(ROOT / ".ci/run", os.X_OK)
    pythons = next(step["with"]["python-version"] for step in job["steps"] if "with" in step)
    assert pythons.split() == (ROOT / ".python-version").read_text().split()


def test_a_stacks_workflow_lints_tests_builds_and_walks_the_way(jobs: dict[str, Any]) -> None:
    text = "\n".join(scripts(jobs))
    for command in ("ruff check .", "python -m pytest", "docker compose build", "python tests/journey.py"):
        assert command in text
    assert set(jobs["stack"]["needs"]) == {"lint", "tests"}


def test_every_script_is_sound_and_takes_nothing_from_an_event(jobs: dict[str, Any]) -> None:
    """An expression in a script would be run as code; what they need they get by the environment."""
    for script in scripts(jobs):
        assert subprocess.run(["bash", "-n", "-c", script]).returncode == 0, script
        assert "${{" not in script


def test_every_file_that_it_names_is_there(made: Path, jobs: dict[str, Any]) -> None:
    for script in scripts(jobs):
        for word in shlex.split(script, comments=True):
            if re.fullmatch(r"[\w.-]+/[\w./-]+\.(py|toml|txt|yml)", word):
                assert (made / word).is_file(), word
    assert list(made.glob("*/tests"))
    assert list(made.glob("*/pyproject.toml"))


def test_every_focushub_command_that_it_runs_exists(jobs: dict[str, Any]) -> None:
    named = re.findall(r"^focushub (\w+)", "\n".join(scripts(jobs)), re.MULTILINE)
    assert named
    assert set(named) <= set(cli.main.commands)


def test_it_tests_every_python_that_the_parts_say_they_run_on(made: Path, jobs: dict[str, Any]) -> None:
    tested = jobs["tests"]["strategy"]["matrix"]["python"]
    assert tested == (ROOT / ".python-version").read_text().split()


def test_it_lints_with_the_version_that_we_lint_with(jobs: dict[str, Any]) -> None:
    ours = re.search(r"ruff==[\d.*]+", (ROOT / "tox.ini").read_text())
    assert ours is not None
    assert ours[0] in "\n".join(scripts(jobs))
