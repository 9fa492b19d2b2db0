"""The command line: exit codes, one clear line, and nothing loaded or written that need not be."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner, Result

from focushub_generator import cli

COMMANDS = [
    "add",
    "balance",
    "generate",
    "logs",
    "migrate",
    "openapi",
    "prepare",
    "psql",
    "run",
    "status",
    "up",
    "verify",
]


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def one_line(result: Result) -> str:
    """The error's only line; there must be nothing on standard output."""
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_help_names_every_command_and_each_has_help_of_its_own() -> None:
    text = run("--help").output
    assert sorted(cli.main.commands) == COMMANDS
    for command in COMMANDS:
        assert f"\n  {command} " in text
        own = run(command, "--help")
        assert own.exit_code == 0
        assert own.output.startswith(f"Usage: main {command} ")


def test_version() -> None:
    assert run("--version").output == f"focushub {version('focushub-core')}\n"


def test_generate_shows_the_tree_and_the_next_two_commands(tmp_path: Path) -> None:
    result = run("generate", str(tmp_path / "my-stack"))
    assert (result.exit_code, result.stderr) == (0, "")
    for entry in ("task-service/", "gateway/", "focushub.toml", ".env"):
        assert f"── {entry}" in result.output
    words = " ".join(result.output.split())
    assert f"focushub up {tmp_path}/my-stack" in words
    assert f"cd {tmp_path}/my-stack && docker compose up --build" in words


def test_the_name_is_the_folders_unless_one_is_given(tmp_path: Path) -> None:
    assert run("generate", str(tmp_path / "one")).exit_code == 0
    assert run("generate", str(tmp_path / "Two (copy)"), "--name", "two").exit_code == 0
    assert 'name = "one"' in (tmp_path / "one" / "focushub.toml").read_text()
    assert 'name = "two"' in (tmp_path / "Two (copy)" / "focushub.toml").read_text()


@pytest.mark.parametrize("name", ["../x", "/x", "", "class", "postgres", "a" * 60, "naïve"])
def test_a_bad_name_is_one_clear_line_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    result = run("generate", str(tmp_path / "target"), "--name", name)
    assert result.exit_code == 1
    assert "cannot be a stack's name: " in one_line(result)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = run("generate", str(tmp_path), "--name", "x")
    assert result.exit_code == 1
    assert one_line(result).startswith(f"Error: {tmp_path} is not empty (it holds mine)")


def test_a_dry_run_shows_the_tree_and_writes_nothing(tmp_path: Path) -> None:
    result = run("generate", str(tmp_path / "my-stack"), "--dry-run")
    assert result.exit_code == 0
    assert result.output.startswith("Would write my-stack:")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from focushub_generator import render

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(render, "_copy", full)
    result = run("generate", str(tmp_path / "my-stack"))
    assert result.exit_code == 1
    assert "No space left on device: " in one_line(result)


def test_prepare_writes_what_is_missing_and_never_changes_env(tmp_path: Path) -> None:
    run("generate", str(tmp_path / "s"))
    env = (tmp_path / "s" / ".env").read_text()
    assert run("prepare", str(tmp_path / "s")).output == "Nothing is missing.\n"
    wheel = next((tmp_path / "s" / "vendor").iterdir())
    wheel.unlink()
    assert run("prepare", str(tmp_path / "s" / "task-service")).output == f"Wrote vendor/{wheel.name}\n"
    assert (tmp_path / "s" / ".env").read_text() == env
    (tmp_path / "s" / ".env").unlink()
    assert run("prepare", str(tmp_path / "s")).output == "Wrote .env\n"
    assert (tmp_path / "s" / ".env").read_text() != env


@pytest.mark.parametrize(
    "command", [["prepare"], ["status"], ["verify"], ["run", "task-service"], ["psql", "task-service"]]
)
def test_a_folder_without_a_stack_is_one_clear_line(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, str(tmp_path))
    assert result.exit_code == 1
    assert "there is no focushub.toml in" in one_line(result)


UP: dict[str, object] = {
    "port_offset": 0,
    "gateways": None,
    "reload": False,
    "without": (),
    "postgres": None,
    "redis": None,
}
EVERYTHING = "up --port-offset 100 --gateways 3 --reload --without a --without b --postgres p --redis r"
SAID: dict[str, object] = {
    "port_offset": 100,
    "gateways": 3,
    "reload": True,
    "without": ("a", "b"),
    "postgres": "p",
    "redis": "r",
}
PASSED_ON: list[tuple[str, str, list[object], dict[str, object]]] = [
    ("up", "up", [], UP),
    (EVERYTHING, "up", [], SAID),
    ("run gateway", "run_part", ["gateway"], {"reload": False}),
    ("run gateway --reload", "run_part", ["gateway"], {"reload": True}),
    ("status", "status", [], {"as_json": False}),
    ("status --json", "status", [], {"as_json": True}),
    ("verify", "verify", [], {"seconds": 60, "service": None, "as_json": False}),
    (
        "verify --seconds 3 --service s --json",
        "verify",
        [],
        {"seconds": 3, "service": "s", "as_json": True},
    ),
    ("migrate", "migrate", [], {"services": (), "show_status": False, "dry_run": False}),
    (
        "migrate --service s --service t --status",
        "migrate",
        [],
        {"services": ("s", "t"), "show_status": True, "dry_run": False},
    ),
    ("migrate --dry-run", "migrate", [], {"services": (), "show_status": False, "dry_run": True}),
    ("logs", "logs", [], {"service": None, "request": None, "follow": False}),
    ("logs --service s --request r -f", "logs", [], {"service": "s", "request": "r", "follow": True}),
    ("psql task-service", "psql", ["task-service"], {}),
]


@pytest.mark.parametrize(("words", "function", "arguments", "options"), PASSED_ON)
def test_what_was_said_is_passed_on_and_the_exit_code_comes_back(
    inside: Path, words: str, function: str, arguments: list[object], options: dict[str, object]
) -> None:
    for code in (0, 1):
        with mock.patch(f"focushub_generator.local.{function}", return_value=code) as called:
            assert run(*words.split()).exit_code == code
        called.assert_called_once_with(inside, *arguments, **options)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack's folder, in which the commands are said."""
    (tmp_path / "focushub.toml").write_text("[stack]\nname = 'x'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_balance_passes_its_upstreams_on() -> None:
    with mock.patch("focushub_core.proxy.standalone.balance", return_value=0) as called:
        words = ("--listen", "127.0.0.1:1", "--upstream", "a:2", "--upstream", "b:3")
        assert run("balance", *words, "--policy", "least-requests").exit_code == 0
    called.assert_called_once_with(
        "127.0.0.1:1", ("a:2", "b:3"), "least-requests", "/readyz", count=1, log_format="text"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["generate"],
        ["generate", "a", "b"],
        ["nonsense"],
        ["up", "--gateways", "0"],
        ["up", "--port-offset", "x"],
        ["balance", "--listen", "127.0.0.1:8080"],
        ["balance", "--listen", "a:1", "--upstream", "b:1", "--policy", "luck"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2


# In processes of their own -----------------------------------------------------------------------------------------


def python(code: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` in a fresh interpreter, in which warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environ},
    )


LOADED = "import sys; print(sorted(name for name in {0!r} if name in sys.modules))"
HEAVY = ("cookiecutter", "jinja2", "rich", "asyncpg", "redis", "aiohttp")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        (
            "focushub_core",
            ("click", "cookiecutter", "jinja2", "rich", "redis", "asyncpg", "focushub_generator"),
        ),
        ("focushub_generator.cli", HEAVY),
    ],
)
def test_an_import_loads_nothing_that_it_does_not_need(module: str, unwanted: tuple[str, ...]) -> None:
    result = python(f"import {module}; {LOADED.format(unwanted)}")
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_generating_writes_nothing_to_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    result = python(
        "from focushub_generator.cli import main; main()",
        "generate",
        str(tmp_path / "my-stack"),
        HOME=str(home),
        XDG_CONFIG_HOME=str(home / "config"),
        XDG_CACHE_HOME=str(home / "cache"),
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "my-stack"]


def test_a_sigterm_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    result = python(
        "import os, signal\n"
        "from focushub_generator import cli, render\n"
        "render._copy = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.main()",
        "generate",
        str(tmp_path / "a" / "my-stack"),
    )
    assert result.returncode == 143
    assert list(tmp_path.iterdir()) == []
