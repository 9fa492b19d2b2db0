"""`examples/notes`: a whole service in one file, shown in the README, run in every way that is said there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web

from focushub_core.database import migrate
from focushub_core.embedded.ports import free_port
from focushub_core.settings import load

if TYPE_CHECKING:
    from focushub_core.testing import FakeClock, Serve

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / "examples" / "notes"


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, imported as its test does."""
    monkeypatch.syspath_prepend(NOTES)
    import notes  # type: ignore[import-not-found, unused-ignore]

    yield notes
    del sys.modules["notes"]


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    """What it is told: its database, where tokens' keys are, and where to listen."""
    told = {"DATABASE_URL": database_url, "AUTH_JWKS_URL": "http://127.0.0.1:1/not-asked"}
    return {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "PORT": str(free_port()), **told}


@pytest.mark.parametrize(("file", "most"), [("notes.py", 39), ("test_notes.py", 14)])
def test_it_is_short(file: str, most: int) -> None:
    assert len((NOTES / file).read_text().splitlines()) <= most


@pytest.mark.parametrize("file", ["notes.py", "test_notes.py"])
def test_the_readme_shows_the_very_file(file: str) -> None:
    """Behind a comment that names the file; a README without it fails."""
    shown = re.findall(
        rf"^<!-- examples/notes/{re.escape(file)} -->\n+```python\n(.*?)^```$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert shown == [(NOTES / file).read_text(encoding="utf-8")]


def test_it_asks_for_what_its_readme_installs() -> None:
    project = tomllib.loads((NOTES / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == ["focushub-core"]


async def test_its_own_test_passes(serve: Serve, clock: FakeClock, notes: ModuleType) -> None:
    """The same function that a person runs by `pytest` in the folder."""
    import test_notes

    await test_notes.test_a_note_is_its_writers(serve, clock)
    del sys.modules["test_notes"]


async def test_it_has_docs_that_say_what_its_signatures_do(serve: Serve, notes: ModuleType) -> None:
    document = (await (await serve(notes.Notes)).get("/openapi.json")).body
    write = document["paths"]["/v1/notes"]["post"]
    assert write["summary"] == "Keeps a note, for its writer's eyes only"
    assert set(document["paths"]) == {"/v1/notes", "/v1/notes/{note_id}"}
    text = document["components"]["schemas"]["NewNote"]["properties"]["text"]
    assert (text["maxLength"], text["examples"]) == (1000, ["Buy milk"])


async def test_it_has_health_metrics_and_one_problem_for_all_that_is_wrong(
    serve: Serve, notes: ModuleType
) -> None:
    client = await serve(notes.Notes)
    reply = await client.person().post("/v1/notes", json={"text": "", "more": 1})
    assert (reply.status, {wrong["field"] for wrong in reply.body["errors"]}) == (422, {"text", "more"})
    assert (await client.post("/v1/notes", json={"text": "a"})).status == 401
    assert (await client.get("/health")).body["database"] == "connected"
    assert (await client.get("/metrics")).status == 200


async def test_it_runs_under_a_plain_aiohttp_runner(notes: ModuleType, environ: dict[str, str]) -> None:
    """`Service.application` is an ordinary ``web.Application``."""
    await migrate(environ["DATABASE_URL"], notes.Notes.migrations())
    service = notes.Notes(load(notes.Notes.settings_type, owner="notes", environ=environ))
    runner = web.AppRunner(service.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as health:
            assert (health.status, (await health.json())["service"]) == (200, "notes")
    finally:
        await runner.cleanup()


def notes_py(environ: dict[str, str], cwd: Path, *words: str) -> subprocess.Popen[str]:
    """``python notes.py ...`` as a process of its own, outside of any stack."""
    command = [sys.executable, str(NOTES / "notes.py"), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ, cwd=cwd, stdout=pipe, stderr=pipe, text=True)


def test_it_brings_its_own_database_up_to_date_outside_of_a_stack(
    environ: dict[str, str], tmp_path: Path
) -> None:
    said = [notes_py(environ, tmp_path, "migrate").communicate(timeout=20)[0] for _ in range(2)]
    assert said == ["applied 0001_inline.sql\n", "up to date\n"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "NOTES_DATABASE_URL or DATABASE_URL is not set"),
        ("postgresql://a:b@127.0.0.1:1/a", "[Errno"),
    ],
)
def test_what_keeps_it_from_that_is_one_line(
    environ: dict[str, str], tmp_path: Path, url: str, reason: str
) -> None:
    process = notes_py(environ | {"DATABASE_URL": url}, tmp_path, "migrate")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("notes: ")
    assert reason in line


def test_it_runs_as_a_program_until_it_is_stopped(environ: dict[str, str], tmp_path: Path) -> None:
    notes_py(environ, tmp_path, "migrate").communicate(timeout=20)
    process = notes_py(environ | {"DRAIN_SECONDS": "0"}, tmp_path)
    try:
        assert health_of(process, environ["PORT"]) == 200
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err


def health_of(process: subprocess.Popen[str], port: str) -> int:
    """The status of its health, asked until it answers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as health:
                return int(health.status)
        except OSError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
