"""Migrations: each file once, all of it or nothing, and never another than before."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest

from focushub_core.database import Database, discover, migrations
from focushub_core.database.migrations import Applied, Migration, MigrationError, compare
from focushub_core.errors import Unavailable

DRIVER = os.environ.get("DATABASE_DRIVER", "asyncpg")
migrate = partial(migrations.migrate, driver=DRIVER)
status = partial(migrations.status, driver=DRIVER)

FILES = {
    "0001_tasks.sql": "CREATE TABLE tasks (id int PRIMARY KEY);\nINSERT INTO tasks VALUES (1);",
    "0002_titles.sql": "ALTER TABLE tasks ADD COLUMN title text;\nINSERT INTO tasks VALUES (2, 'two');",
    "0003_counter.sql": "UPDATE tasks SET id = id + 10;",
}


def _write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


async def _ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url, ssl=False, timeout=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_ten_at_once_apply_each_file_once(database_url: str, tmp_path: Path) -> None:
    """Each file would fail or show if it were run twice."""
    folder = _write(tmp_path, FILES)
    done = await asyncio.gather(*(migrate(database_url, folder) for _ in range(10)))
    assert sorted(FILES) == sorted(one.file for applied in done for one in applied)
    assert await _ask(database_url, "SELECT array_agg(id ORDER BY id) FROM tasks") == [11, 12]


async def test_what_is_applied_is_told_and_later_files_follow(database_url: str, tmp_path: Path) -> None:
    told: list[str] = []
    folder = _write(tmp_path, dict(list(FILES.items())[:1]))
    await migrate(database_url, folder, on_applied=lambda one: told.append(one.file))
    _write(tmp_path, FILES)
    await migrate(database_url, folder, on_applied=lambda one: told.append(one.file))
    await migrate(database_url, folder, on_applied=lambda one: told.append(one.file))
    assert list(FILES) == told


async def test_a_failing_file_undoes_itself_and_is_named_with_line_and_reason(
    database_url: str, tmp_path: Path
) -> None:
    """Files before it stay; once mended it is applied."""
    folder = _write(
        tmp_path, FILES | {"0002_titles.sql": "CREATE TABLE half ();\n\nALTER TABLE nope ADD x int;"}
    )
    with pytest.raises(MigrationError, match=r'^0002_titles\.sql.*: relation "nope" does not exist'):
        await migrate(database_url, folder)
    assert await _ask(database_url, "SELECT to_regclass('half') IS NULL") is True
    assert [one.state for one in await status(database_url, folder)] == ["applied", "pending", "pending"]
    _write(tmp_path, FILES)
    assert [one.version for one in await migrate(database_url, folder)] == [2, 3]


async def test_a_mistake_is_told_with_its_line(database_url: str, tmp_path: Path) -> None:
    folder = _write(tmp_path, {"0001_a.sql": "CREATE TABLE t ();\n\nSELEKT 1;"})
    with pytest.raises(MigrationError, match=r'^0001_a\.sql, line 3: syntax error at or near "SELEKT"'):
        await migrate(database_url, folder)


async def test_an_old_file_that_was_edited_is_refused_by_name(database_url: str, tmp_path: Path) -> None:
    """And nothing new is applied."""
    folder = _write(tmp_path, dict(list(FILES.items())[:2]))
    await migrate(database_url, folder)
    _write(tmp_path, FILES | {"0001_tasks.sql": "CREATE TABLE tasks (id bigint PRIMARY KEY);"})
    with pytest.raises(MigrationError, match=r"^0001_tasks\.sql was changed after it was applied$"):
        await migrate(database_url, folder)
    assert [one.state for one in await status(database_url, folder)] == ["edited", "applied", "pending"]
    assert await _ask(database_url, "SELECT count(*) FROM schema_migrations") == 2


async def test_a_file_that_was_applied_and_is_gone_is_refused_by_name(
    database_url: str, tmp_path: Path
) -> None:
    """Also what code that is older than its schema sees."""
    folder = _write(tmp_path, FILES)
    await migrate(database_url, folder)
    (folder / "0003_counter.sql").unlink()
    with pytest.raises(MigrationError, match=r"^0003_counter\.sql was applied but is not there$"):
        await migrate(database_url, folder)


async def test_other_line_ends_are_no_edit(database_url: str, tmp_path: Path) -> None:
    folder = _write(tmp_path, FILES)
    await migrate(database_url, folder)
    for name, text in FILES.items():
        (folder / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert await migrate(database_url, folder) == []


async def test_a_dry_run_says_what_would_be_applied_and_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    folder = _write(tmp_path, FILES)
    assert list(FILES) == [one.file for one in await migrate(database_url, folder, dry_run=True)]
    assert await _ask(database_url, "SELECT to_regclass('schema_migrations') IS NULL") is True
    states = await status(database_url, folder)
    assert [(name, "pending", None) for name in FILES] == [
        (one.file, one.state, one.applied_at) for one in states
    ]


async def test_the_lock_of_a_killed_migrator_is_free(database_url: str, tmp_path: Path) -> None:
    """Killed in the middle of a file: that file is undone and applied by the next."""
    folder = _write(tmp_path / "slow", {"0001_a.sql": "CREATE TABLE a ();\nSELECT pg_sleep(20);"})
    code = (
        "import sys, asyncio; from focushub_core.database import migrate; asyncio.run(migrate(*sys.argv[1:]))"
    )
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    with subprocess.Popen([sys.executable, "-c", code, database_url, str(folder)]) as holder:  # noqa: ASYNC220
        async with asyncio.timeout(10):
            while await _ask(database_url, running) != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        with pytest.raises(Unavailable, match="another migration"):
            await migrate(database_url, folder, lock_timeout=0.1)
        os.kill(holder.pid, signal.SIGKILL)
    await _ask(
        database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    )
    _write(folder, {"0001_a.sql": "CREATE TABLE a ();"})
    assert [one.version for one in await migrate(database_url, folder)] == [1]


MIGRATE = """
import asyncio, sys
from focushub_core.database import migrate
url, folder, driver = sys.argv[1:]
print(len(asyncio.run(migrate(url, folder, driver=driver))))
"""


async def _sleeping_client(url: str) -> int:
    """The port of the client whose statement sleeps."""
    sql = "SELECT client_port FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    async with asyncio.timeout(20):
        while (port := await _ask(url, sql)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert isinstance(port, int)
    return port


def _has(process: subprocess.Popen[str], port: int) -> bool:
    connections = psutil.Process(process.pid).net_connections()
    return any(connection.laddr.port == port for connection in connections)


async def test_of_ten_at_once_one_is_killed_in_the_middle_of_a_file_and_all_is_done_once(
    database_url: str, tmp_path: Path
) -> None:
    """What it had inserted is undone; another takes its place within a second; each file would fail if run twice."""
    await _ask(database_url, "CREATE SEQUENCE turns")  # what it counts is not undone
    slow = """
        INSERT INTO tasks VALUES (7);
        SELECT pg_sleep(CASE nextval('turns') WHEN 1 THEN 30 ELSE 0 END);
        ALTER TABLE tasks ADD COLUMN late int;
    """
    folder = _write(tmp_path, FILES | {"0004_slow.sql": slow})
    command = [sys.executable, "-c", MIGRATE, database_url, str(folder), DRIVER]
    ten = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(10)]  # noqa: ASYNC220
    port = await _sleeping_client(database_url)
    (holder,) = [process for process in ten if _has(process, port)]
    holder.kill()
    outcomes = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in ten))
    ends = [process.returncode for process in ten if process is not holder]
    assert ends == [0] * 9
    # The one that was killed had done the first three; one of the others does the fourth.
    assert sorted(said.strip() for said, _ in outcomes) == ["", *["0"] * 8, "1"]
    assert await _ask(database_url, "SELECT array_agg(id ORDER BY id) FROM tasks") == [7, 11, 12]
    assert await _ask(database_url, "SELECT count(*) FROM schema_migrations") == 4


async def test_a_migration_may_take_longer_than_a_request(database_url: str, tmp_path: Path) -> None:
    """The role's ceiling is for requests."""
    folder = _write(
        tmp_path, {"0001_a.sql": "DO $$ BEGIN ASSERT current_setting('statement_timeout') = '0'; END $$;"}
    )
    assert len(await migrate(database_url, folder)) == 1


async def test_a_table_may_change_below_a_running_service(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Its prepared statements are made anew."""
    folder = _write(tmp_path, dict(list(FILES.items())[:1]))
    await migrate(database_url, folder)
    assert dict(await database.fetchrow("SELECT * FROM tasks") or {}) == {"id": 1}
    await migrate(database_url, _write(tmp_path, FILES))
    assert dict(await database.fetchrow("SELECT * FROM tasks ORDER BY id") or {}) == {"id": 11, "title": None}


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://a:b@127.0.0.1:1/c", _write(tmp_path, FILES))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["0001_a.sql", "0003_c.sql"], "0003_c.sql follows number 0001"),
        (["0002_a.sql"], "0002_a.sql follows number 0000"),
        (["0001_a.sql", "0001_b.sql"], "0001_b.sql has a number that is taken"),
        (["0000_a.sql"], "0000_a.sql has a number that is taken"),
        (["1_a.sql"], "1_a.sql is not named like 0001_name.sql"),
        (["0001-a.sql"], "0001-a.sql is not named like"),
        (["0001_A.sql"], "0001_A.sql is not named like"),
        (["x.sql", "y.sql"], "x.sql is not named like 0001_name.sql; y.sql is not"),
    ],
)
def test_a_wrong_name_or_number_is_told_by_name(files: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=said):
        discover(_write(tmp_path, dict.fromkeys(files, "")))


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="no folder of migrations"):
        discover(tmp_path / "none")


def test_other_files_in_the_folder_are_none_of_ours(tmp_path: Path) -> None:
    assert discover(_write(tmp_path, {"README.md": "", "0001_a.sql.orig": "x"})) == []


def test_a_file_that_is_not_utf_8_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_bytes(b"\xff")
    with pytest.raises(MigrationError, match=r"0001_a\.sql is not UTF-8"):
        discover(tmp_path)


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("BEGIN; SELECT 1; COMMIT;", True),
        ("SELECT 1;\n-- so far\nCOMMIT;", True),
        ("select 1; rollback", True),
        ("START TRANSACTION", True),
        ("-- COMMIT;\nSELECT 1", False),
        ("/* ; COMMIT */ SELECT '; COMMIT', \"; COMMIT\"", False),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; COMMIT; END $f$", False),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", False),
        ("SAVEPOINT a; SELECT 1; ROLLBACK TO a", False),
        ("INSERT INTO commit VALUES (1)", False),
    ],
)
def test_a_file_is_one_transaction_and_makes_none(sql: str, refused: bool, tmp_path: Path) -> None:
    folder = _write(tmp_path, {"0001_a.sql": sql})
    if refused:
        with pytest.raises(MigrationError, match=r"0001_a\.sql has a"):
            discover(folder)
    else:
        assert len(discover(folder)) == 1


def _file(version: int, checksum: str = "x", name: str = "a") -> Migration:
    return Migration(version, name, "", checksum)


def _line(version: int, checksum: str = "x", name: str = "a") -> Applied:
    return Applied(version, name, checksum, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("files", "lines", "states"),
    [
        ([], [], []),
        ([_file(1), _file(2)], [], ["pending", "pending"]),
        ([_file(1), _file(2)], [_line(1)], ["applied", "pending"]),
        ([_file(1, "y")], [_line(1)], ["edited"]),
        ([_file(1)], [_line(1), _line(2)], ["applied", "missing"]),
        ([_file(1, name="b")], [_line(1)], ["missing"]),
    ],
)
def test_files_and_what_was_applied_are_compared(
    files: list[Migration], lines: list[Applied], states: list[str]
) -> None:
    assert states == [one.state for one in compare(files, lines)]
