"""The embedded PostgreSQL, run for real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from focushub_core.embedded import EmbeddedPostgres, account, find_postgres, place, running
from focushub_core.embedded.binaries import readable_by
from focushub_core.errors import ConfigurationError, Unavailable

pytestmark = pytest.mark.slow

PASSWORD = "pass-WORD_123"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


def _server(folder: Path, **options: str) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "postgres", password=PASSWORD, settings={"fsync": "off"}, **options)  # type: ignore[arg-type]


async def _value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url, ssl=False, timeout=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _files(*folders: Path) -> str:
    readable = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode("latin-1") for path in readable)


async def test_a_server_starts_answers_and_stops(folder: Path) -> None:
    """Checksums on, passwords by SCRAM, order of letters by code point, times in UTC."""
    server = _server(folder)
    with running(server) as process:
        settings = "SELECT current_setting('data_checksums') || current_setting('TimeZone')"
        stored = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'"
        assert await _value(server.url(), settings) == "onUTC"
        assert await _value(server.url(), stored) is True
        assert await _value(server.url(), "SELECT lower('ÄÖ')") == "äö"
        pid = process.pid
    assert not psutil.pid_exists(pid)


def _family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def _shown(process: psutil.Process) -> str:
    """What everybody may see of a process; nothing of a backend that has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()) + str(process.environ())
    return ""


def test_the_password_is_on_no_command_line_in_no_environment_and_in_no_file(folder: Path) -> None:
    """initdb reads it from a private file that is removed; the data hold a verifier."""
    server = _server(folder)
    with running(server, folder / "log") as process:
        shown = "".join(_shown(one) for one in _family(process.pid))
        assert PASSWORD not in shown + _files(server.data, folder)


def test_the_server_listens_on_loopback_only_below_the_ephemeral_ports(folder: Path) -> None:
    """And on no Unix socket: its folder would have to lie outside the data."""
    with running(_server(folder)) as process:
        listening = [one.laddr for one in psutil.Process(process.pid).net_connections("inet")]
        assert [("127.0.0.1", process.server.port)] == [(one.ip, one.port) for one in listening]
        assert process.server.port < 32768
        assert psutil.Process(process.pid).net_connections("unix") == []


def test_all_that_a_server_makes_lies_beside_each_other(folder: Path) -> None:
    """Its data and its log; the folder in which the cluster was made, and the password with it, has gone."""
    with running(_server(folder)):
        assert {path.name for path in folder.iterdir()} == {"postgres", "postgres.log"}


def test_the_environment_of_the_server_is_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGPORT or PGDATA that lies about would change what the server does."""
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "x", "POSTGRES_PASSWORD": "s"}.items():
        monkeypatch.setenv(name, value)
    with running(_server(folder)) as process:
        names = psutil.Process(process.pid).environ().keys()
        assert not [
            name for name in names if name.startswith(("PG", "POSTGRES")) and name not in {"PGLOCALEDIR"}
        ]


def test_an_idle_server_is_small(folder: Path) -> None:
    """Some 13 MB, shared pages counted once; the whole stack has 350."""
    with running(_server(folder)) as process:
        family = _family(process.pid)
        assert sum(one.memory_full_info().pss for one in family) < 30_000_000
        assert len(family) <= 7


async def test_data_outlive_a_stop_a_kill_and_what_they_leave_behind(folder: Path) -> None:
    """kill -9 leaves postmaster.pid: the next start clears it."""
    server = _server(folder)
    with running(server) as process:
        await _value(server.url(), "SELECT 42 AS n INTO t")
        process.stop(signal.SIGKILL)
        assert (server.data / "postmaster.pid").exists()
        process.start()
        assert await _value(server.url(), "SELECT n FROM t") == 42
        process.stop()
        process.start()
        assert await _value(server.url(), "SELECT n FROM t") == 42


def test_a_process_id_that_is_now_somebody_elses_does_not_stop_the_start(folder: Path) -> None:
    """After kill -9 of a container the same numbers are given out again."""
    server = _server(folder)
    server.prepare()
    who = server.account.popen_options() if server.account else {}
    other = subprocess.Popen(["sleep", "60"], **who)
    text = f"{other.pid}\n{server.data}\n1\n{server.port}\n\n127.0.0.1\n1 1\nready\n"
    place.write_private(server.data / "postmaster.pid", text, server.account)
    try:
        with running(server) as process:
            assert process.pid != other.pid
    finally:
        other.kill()
        other.wait()


def test_a_second_server_on_the_same_data_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focushub_core.embedded.postgres._PREDECESSOR_DEADLINE_S", 0.1)
    with running(_server(folder)), pytest.raises(ConfigurationError, match=r"already runs on .*processes"):
        _server(folder).prepare()


def test_an_initdb_that_was_killed_leaves_nothing_in_the_way(folder: Path) -> None:
    """The cluster appears by a rename: a half-made one is made anew."""
    server = _server(folder)
    half = folder / "postgres.0a1b2c3d.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with running(server):
        assert not half.exists()


def test_a_failing_initdb_says_why_and_leaves_nothing(folder: Path) -> None:
    server = _server(folder, user="pg_wrong")
    with pytest.raises(ConfigurationError, match=r"initdb failed: .*superuser name"):
        server.prepare()
    assert list(folder.iterdir()) == []


def test_data_of_another_version_are_refused_by_both_versions(folder: Path) -> None:
    server = _server(folder)
    server.prepare()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 9; the one found is 1[0-9]"):
        server.prepare()


async def test_another_password_than_the_datas_is_said_at_once(folder: Path) -> None:
    with running(_server(folder)) as process:
        other = EmbeddedPostgres(folder / "postgres", port=process.server.port, password="another")
        with pytest.raises(ConfigurationError, match="another password"):
            await other.wait_ready(5)


async def test_a_server_that_is_not_there_is_unavailable_at_the_deadline(folder: Path) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"did not answer within 0.2 s"):
        await _server(folder).wait_ready(0.2)
    assert time.monotonic() - started < 1


async def test_a_frozen_server_is_unavailable_at_the_deadline(folder: Path) -> None:
    """It still accepts connections: only an answer counts."""
    with running(_server(folder)) as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(Unavailable):
            await process.server.wait_ready(0.3)


def test_a_server_that_ends_at_once_is_shown_with_its_last_words(folder: Path) -> None:
    broken = EmbeddedPostgres(folder / "postgres", password=PASSWORD, settings={"no_such_setting": "1"})
    with pytest.raises(Unavailable, match=r"ended at once: .*no_such_setting"), running(broken):
        pass


async def test_own_settings_go_into_a_file_beside(folder: Path) -> None:
    server = _server(folder)
    server.prepare()
    place.write_private(server.data / "local.conf", "work_mem = '7MB'\n", server.account)
    with running(server):
        assert await _value(server.url(), "SHOW work_mem") == "7MB"


@pytest.mark.parametrize("password", ["", " ", "ü", "a\nb"])
def test_a_password_that_not_every_parser_reads_alike_is_refused(password: str, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="printable ASCII"):
        EmbeddedPostgres(folder / "postgres", password=password)


@as_root
def test_as_root_from_a_folder_nobody_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data lie elsewhere, the wanted place is a link, and the server is not root's."""
    with tempfile.TemporaryDirectory() as closed, tempfile.TemporaryDirectory() as state:
        Path(state).chmod(0o755)
        monkeypatch.setattr(place, "STATE", Path(state))
        server = _server(Path(closed))
        with running(server) as process:
            assert psutil.Process(process.pid).uids().effective != 0
            assert Path(state) in server.data.parents
            assert (Path(closed) / "postgres").resolve() == server.data
            assert server.notice is not None
        again = _server(Path(closed))
        with running(again):
            assert again.data == server.data


@as_root
def test_an_ordinary_user_runs_it_as_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder with spaces and 200 characters."""
    nobody = account._named("nobody")
    reachable = readable_by(nobody, find_postgres(), "postgres", folder / "programs")
    monkeypatch.setenv("FOCUSHUB_PG_BIN", str(reachable.program("postgres").parent))
    deep = folder / ("a folder " * 11).strip() / ("another one " * 9).strip()
    deep.mkdir(parents=True)
    os.chown(deep, 65534, 65534)
    child = os.fork()  # the interpreter itself may lie where that user cannot start it
    if child == 0:
        os._exit(_run_as_a_user(deep))
    assert os.waitpid(child, 0)[1] == 0


def _run_as_a_user(deep: Path) -> int:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    server = _server(deep)
    with running(server) as process:
        owner = psutil.Process(process.pid).uids().effective
        ours = (owner, server.notice, server.account) == (65534, None, None)
    return 0 if ours else 1
