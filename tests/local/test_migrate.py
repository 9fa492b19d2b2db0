"""`focushub migrate`, on a real PostgreSQL with the bundled stack's roles and databases."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from focushub_core import stack
from focushub_core.database import drop
from focushub_core.testing.servers import PostgresServer, address
from focushub_generator import databases
from focushub_generator.local.migrate import driver, migrate

EXAMPLE = Path(__file__).parents[2] / "examples" / "focushub"


@pytest.fixture
def urls(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The address of each service's database, by the service's key; roles and databases are made."""
    shutil.copy(EXAMPLE / "focushub.toml", tmp_path)
    made = {}
    for entry in stack.load(tmp_path).services.values():
        assert entry.database is not None
        shutil.copytree(EXAMPLE / entry.migrations, tmp_path / entry.migrations)
        made[entry.key] = address(postgres_server.admin_url, entry.database, f"pw-{entry.key}")
        monkeypatch.setenv(f"{entry.variable}_DATABASE_URL", made[entry.key])
    databases.provision(tmp_path, postgres_server.admin_url)
    yield made
    for url in made.values():
        name = urlsplit(url).path.lstrip("/")
        asyncio.run(drop(postgres_server.admin_url, database=name, role=name))


def _run(
    root: Path, *, services: tuple[str, ...] = (), show_status: bool = False, dry_run: bool = False
) -> int:
    return migrate(root, services=services, show_status=show_status, dry_run=dry_run)


async def _connects(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, ssl=False, timeout=5)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError):
        return False
    await connection.close()
    return True


def test_each_services_password_opens_its_own_database_and_none_of_the_three_others(
    urls: dict[str, str],
) -> None:
    """Neither with its own role nor with theirs."""

    async def look() -> dict[tuple[str, str, str], bool]:
        return {
            (password, role, database): await _connects(_with(urls, password, role, database))
            for password, role, database in itertools.product(urls, repeat=3)
        }

    assert len(urls) == 4
    opened = {tried for tried, connected in asyncio.run(look()).items() if connected}
    assert {(key, key, key) for key in urls} == opened


def _with(urls: dict[str, str], password: str, role: str, database: str) -> str:
    host = urlsplit(urls[role]).netloc.rpartition("@")[2]
    names = {key: urlsplit(url).path.lstrip("/") for key, url in urls.items()}
    return f"postgresql://{names[role]}:pw-{password}@{host}/{names[database]}"


def test_a_dry_run_then_the_run_then_nothing_to_do(
    urls: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the status before and after, with when each was applied."""
    assert _run(tmp_path, services=("task-service",), show_status=True) == 0
    assert "task-service     pending  0001_" in capsys.readouterr().out
    assert _run(tmp_path, services=("task-service",), dry_run=True) == 0
    planned = capsys.readouterr().out
    assert _run(tmp_path, services=("task-service",)) == 0
    assert planned.replace("would apply", "applied") == capsys.readouterr().out
    assert _run(tmp_path, services=("task",)) == 0
    assert capsys.readouterr().out == "task-service     up to date\n"
    assert _run(tmp_path, services=("task-service",), show_status=True) == 0
    assert "task-service     applied  0001_" in (said := capsys.readouterr().out)
    assert said.splitlines()[0].endswith("Z")


def test_what_fails_in_one_service_stops_no_other(
    urls: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "habit-service/habit_service/migrations"
    number = len(list(folder.glob("*.sql"))) + 1
    (folder / f"{number:04}_wrong.sql").write_text("ALTER TABLE nowhere ADD x int;")
    assert _run(tmp_path) == 1
    said = capsys.readouterr().out
    assert f"habit-service    failed: {number:04}_wrong.sql" in said
    assert 'relation "nowhere" does not exist' in said
    assert "task-service     applied 0001_" in said
    assert _run(tmp_path, services=("habit-service",), show_status=True) == 0
    assert f"habit-service    pending  {number:04}_wrong.sql" in capsys.readouterr().out


def test_the_driver_is_the_services_own() -> None:
    entry = stack.load(EXAMPLE).services["task"]
    assert driver(entry, {}) == "asyncpg"
    assert driver(entry, {"DATABASE_DRIVER": "aiopg"}) == "aiopg"
    assert driver(entry, {"DATABASE_DRIVER": "aiopg", "TASK_DATABASE_DRIVER": "asyncpg"}) == "asyncpg"
