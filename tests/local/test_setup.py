"""Databases are made as soon as a server answers; what waiting cannot help is said at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from focushub_core.embedded.ports import free_port
from focushub_core.errors import ConfigurationError
from focushub_generator.local import setup

if TYPE_CHECKING:
    from pathlib import Path

    from focushub_core.testing.servers import PostgresServer


def work(admin_url: str, folder: Path, *names: str, patience: float = 0.2) -> setup.Work:
    """What `up` asks for: a database for each name, on the administrator's server."""
    (folder / "0001_first.sql").write_text("CREATE TABLE first (id integer);\n")
    host = setup.place(admin_url)
    databases: list[setup.Database] = [
        {
            "name": name,
            "password": "secret",
            "url": f"postgresql://{name}:secret@{host}/{name}",
            "migrations": str(folder),
        }
        for name in names
    ]
    return {"admin_url": admin_url, "login": "look into .env", "patience": patience, "databases": databases}


async def failure(wanted: setup.Work) -> set[str]:
    """The lines that the work ends with."""
    with pytest.raises(ExceptionGroup) as caught:
        await setup.carry_out(wanted)
    return {setup.reason(one, wanted) for one in caught.value.exceptions}


async def test_made_again_it_does_no_harm(
    postgres_server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = work(postgres_server.admin_url, tmp_path, "again_a", "again_b")
    for said in ("1 migrations applied", "up to date"):
        await setup.carry_out(wanted)
        assert capsys.readouterr().out.count(said) == 2


async def test_a_wrong_login_is_said_at_once_with_what_to_do(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Waiting would fill the log with the server's own lines."""
    url = postgres_server.admin_url.replace("postgres:", "postgres:not-", 1)
    began = time.monotonic()
    lines = await failure(work(url, tmp_path, "one", "two", patience=60))
    assert lines == {'password authentication failed for user "postgres"; look into .env'}
    assert time.monotonic() - began < 10


async def test_a_server_that_is_away_is_waited_for_and_named_without_its_login(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    lines = await failure(work(f"postgresql://postgres:hidden@{where}/postgres", tmp_path, "one", "two"))
    assert lines == {f"PostgreSQL at {where} does not answer"}


def test_a_long_wait_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(setup.time, "monotonic", lambda: now[0])
    patience = setup.Patience(60, "db.example.com:5432")
    ended = []
    for now[0] in (100.1, 102.9, 103.1, 120.0, 159.9, 160.1):
        ended.append(patience.has_ended())
    assert ended == [False, False, False, False, False, True]
    assert capsys.readouterr().out.count("waiting for PostgreSQL at db.example.com:5432, at most 60 s") == 1


def test_a_failure_of_our_own_is_said_in_its_own_words() -> None:
    wanted: Any = {"admin_url": "postgresql://a:b@c:1/d"}
    assert setup.reason(ConfigurationError("0001_x.sql is wrong"), wanted) == "0001_x.sql is wrong"
