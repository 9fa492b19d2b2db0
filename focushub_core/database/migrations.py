"""Migrations: numbered SQL files, forward only.

Rules that hold here:

* Files are ``NNNN_name.sql``, numbered from 0001 without a gap. What was applied is in ``schema_migrations``.
* A file is applied in one transaction together with its line there: all of it or nothing. So it has no BEGIN or
  COMMIT of its own.
* One migrator at a time, by an advisory lock of the session: it ends with its holder, however that dies.
* A file that was applied never changes and never goes away; if it does, nothing runs and the error names it.
* The kit's own tables lie in the schema ``focushub``, come from the kit's own files, and are counted there. They are
  made before a service's, so that a service has them whatever its own files say.
* A service of one file gives its migrations as texts: the first is ``0001_inline.sql``, and may become that file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from focushub_core.database.driver import DriverConnection, load
from focushub_core.database.errors import InvalidValue
from focushub_core.errors import ConfigurationError, FocusHubError, Internal, Unavailable

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x666F_6375_7368_7562  # "focushub": a lock of this database, so one number serves all
_CONNECT_S = 5.0
_POLL_S = 0.05
# What hides a statement's words: comments, strings, quoted names, dollar-quoted bodies.
_HIDDEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1", re.DOTALL)
_TRANSACTION = re.compile(
    r"(?:\A|;)\s*(BEGIN|COMMIT|ROLLBACK(?!\s+TO\b)|ABORT|START\s+TRANSACTION|PREPARE\s+TRANSACTION)\b(?!\s+ATOMIC)",
    re.IGNORECASE,
)

KIT = Path(__file__).with_name("kit")
"""The files of the kit's own tables."""

_OWN, _KITS = "schema_migrations", "focushub.schema_migrations"
_SCHEMA = "CREATE SCHEMA IF NOT EXISTS focushub"
_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_APPLIED = "SELECT version, name, checksum, applied_at FROM {table} ORDER BY version"
_RECORD = "INSERT INTO {table} (version, name, checksum) VALUES ($1, $2, $3)"

Source = str | Path | tuple[str, ...]
"""A folder, or the texts themselves."""
State = Literal["applied", "pending", "edited", "missing"]


class MigrationError(ConfigurationError):
    """A migration cannot be applied; the message names the file."""

    code = "migration_failed"


@dataclass(frozen=True)
class Migration:
    """One file. ``checksum`` is SHA-256 over its text, whatever its line ends."""

    version: int
    name: str
    sql: str
    checksum: str
    of_kit: bool = False
    """Whether it is one of the kit's own."""

    @property
    def file(self) -> str:
        """The file's name, ``0001_tasks.sql``."""
        return f"{self.version:04}_{self.name}.sql"


@dataclass(frozen=True)
class Applied:
    """One line of a table of what was applied."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True)
class MigrationState:
    """What is known of one number: ``edited`` and ``missing`` are told of files that were applied."""

    file: str
    state: State
    applied_at: datetime | None = None
    of_kit: bool = False


def discover(source: Source) -> list[Migration]:
    """The migrations in ``source`` by number. Raises MigrationError, which names every file that is wrong."""
    if isinstance(source, tuple):
        return [_checked(number, "inline", sql) for number, sql in enumerate(source, 1)]
    folder = Path(source)
    if not folder.is_dir():
        raise MigrationError(f"there is no folder of migrations {folder}")
    names = sorted(path.name for path in folder.glob("*.sql"))
    problems = _misnamed(names) or _misnumbered(names)
    if problems:
        raise MigrationError(f"{folder}: " + "; ".join(problems))
    return [_read(folder / name) for name in names]


def _misnamed(names: Sequence[str]) -> list[str]:
    return [f"{name} is not named like 0001_name.sql" for name in names if not _NAME.fullmatch(name)]


def _misnumbered(names: Sequence[str]) -> list[str]:
    problems, previous = [], 0
    for name in names:
        number = int(name[:4])
        if number in {previous, 0}:
            problems.append(f"{name} has a number that is taken")
        elif number != previous + 1:
            problems.append(f"{name} follows number {previous:04}")
        previous = number
    return problems


def _read(path: Path) -> Migration:
    try:
        sql = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise MigrationError(f"{path.name} is not UTF-8") from error
    number, name = path.stem.split("_", 1)
    return _checked(int(number), name, sql)


def _checked(number: int, name: str, sql: str) -> Migration:
    migration = Migration(number, name, sql, hashlib.sha256(sql.encode()).hexdigest())
    if found := _TRANSACTION.search(_HIDDEN.sub(" ", sql)):
        raise MigrationError(f"{migration.file} has a {found[1].upper()}: a file is a transaction already")
    return migration


def compare(found: Sequence[Migration], applied: Sequence[Applied]) -> list[MigrationState]:
    """What each file and each applied number is, in order. Pure."""
    files = {migration.version: migration for migration in found}
    lines = {line.version: line for line in applied}
    return [_state(files.get(version), lines.get(version)) for version in sorted(files.keys() | lines.keys())]


def _state(file: Migration | None, line: Applied | None) -> MigrationState:
    if line is None:
        assert file is not None
        return MigrationState(file.file, "pending")
    named = f"{line.version:04}_{line.name}.sql"
    if file is None or file.file != named:
        return MigrationState(named, "missing", line.applied_at)
    return MigrationState(named, "applied" if file.checksum == line.checksum else "edited", line.applied_at)


def refuse_changed(states: Sequence[MigrationState]) -> None:
    """Raise MigrationError, naming the files, if one that was applied has changed or gone."""
    edited = [state.file for state in states if state.state == "edited"]
    missing = [state.file for state in states if state.state == "missing"]
    problems = [f"{name} was changed after it was applied" for name in edited]
    problems += [f"{name} was applied but is not there" for name in missing]
    if problems:
        raise MigrationError("; ".join(problems))


async def migrate(
    url: str,
    source: Source,
    *,
    dry_run: bool = False,
    on_applied: Callable[[Migration], None] | None = None,
    lock_timeout: float = 60.0,
    driver: str = "asyncpg",
    with_kit: bool = False,
) -> list[Migration]:
    """Apply what is pending; the answer is what was (or with ``dry_run`` would be) applied by this call.

    The kit's own tables are made first, and are a part of the answer only ``with_kit``. Safe to call many at once:
    one applies, the others wait for up to ``lock_timeout`` seconds and find nothing to do. Raises MigrationError
    naming the file and what PostgreSQL said; Unavailable when it cannot be reached.
    """
    found = discover(source)
    async with _session(url, driver) as session:
        if dry_run:
            kits = await _pending(session, _kits_own(), _KITS) if with_kit else []
            return kits + await _pending(session, found, _OWN)
        await _lock(session, lock_timeout)
        made = await _make_kit(session)
        await session.execute(_TABLE.format(table=_OWN), (), None)
        pending = await _pending(session, found, _OWN)
        for migration in pending:
            await _apply(session, migration, _OWN)
            if on_applied is not None:
                on_applied(migration)
        return made + pending if with_kit else pending


async def _make_kit(session: DriverConnection) -> list[Migration]:
    await session.execute(_SCHEMA, (), None)
    await session.execute(_TABLE.format(table=_KITS), (), None)
    pending = await _pending(session, _kits_own(), _KITS)
    for migration in pending:
        await _apply(session, migration, _KITS)
    return pending


def _kits_own() -> list[Migration]:
    return [replace(one, of_kit=True) for one in discover(KIT)]


async def status(
    url: str, source: Source, *, driver: str = "asyncpg", with_kit: bool = False
) -> list[MigrationState]:
    """What each migration is, the kit's own first if asked for. Changes nothing and waits for no lock."""
    discover(source)  # what is wrong with the files is said without a server
    async with _session(url, driver) as session:
        return [one for one in await states(session, source) if with_kit or not one.of_kit]


async def states(session: DriverConnection, source: Source) -> list[MigrationState]:
    """What each migration is at the session's database: the kit's, then those in ``source``."""
    kits = compare(_kits_own(), await _applied(session, _KITS))
    return [replace(one, of_kit=True) for one in kits] + compare(
        discover(source), await _applied(session, _OWN)
    )


@asynccontextmanager
async def _session(url: str, driver: str) -> AsyncIterator[DriverConnection]:
    session = await load(driver).connect(url, timeout=_CONNECT_S, name="focushub migrate")
    try:
        # The role's statement_timeout is a ceiling for requests; a lock that readers hold must not stop them for long.
        await session.execute("SET statement_timeout = 0; SET lock_timeout = '30s'", (), _CONNECT_S)
        await session.execute("SET client_min_messages = warning", (), _CONNECT_S)
        with contextlib.suppress(InvalidValue, Internal):  # PostgreSQL 14 on macOS cannot
            # What a migrator that was killed had begun ends with it, and lets go of the lock.
            await session.execute("SET client_connection_check_interval = '500ms'", (), _CONNECT_S)
        yield session
    finally:
        await session.close(1.0)


async def _lock(session: DriverConnection, timeout: float) -> None:
    """Ask again and again: who waits inside PostgreSQL holds a snapshot that the holder may have to wait for."""
    end = time.monotonic() + timeout
    while not await _try_lock(session):
        if time.monotonic() > end:
            raise Unavailable(
                f"another migration has been running for {timeout:g} s", code="migration_locked"
            )
        await asyncio.sleep(_POLL_S)


async def _try_lock(session: DriverConnection) -> bool:
    rows = await session.fetch("SELECT pg_try_advisory_lock($1)", (_LOCK,), _CONNECT_S)
    return bool(rows[0][0])


async def _applied(session: DriverConnection, table: str) -> list[Applied]:
    rows = await session.fetch("SELECT to_regclass($1) IS NOT NULL", (table,), _CONNECT_S)
    if not rows[0][0]:
        return []
    lines = await session.fetch(_APPLIED.format(table=table), (), _CONNECT_S)
    return [Applied(*line.values()) for line in lines]


async def _pending(session: DriverConnection, found: Sequence[Migration], table: str) -> list[Migration]:
    states = compare(found, await _applied(session, table))
    refuse_changed(states)
    names = {state.file for state in states if state.state == "pending"}
    return [migration for migration in found if migration.file in names]


async def _apply(session: DriverConnection, migration: Migration, table: str) -> None:
    await session.execute("BEGIN", (), None)
    try:
        await session.execute(migration.sql, (), None)
        record = _RECORD.format(table=table)
        await session.execute(record, (migration.version, migration.name, migration.checksum), None)
        await session.execute("COMMIT", (), None)
    except FocusHubError as error:
        if not session.is_closed():
            await session.execute("ROLLBACK", (), _CONNECT_S)
        raise MigrationError(f"{migration.file}{_said(error, migration.sql)}") from error


def _said(error: FocusHubError, sql: str) -> str:
    """Where in the file, and PostgreSQL's own words: here they are for the author, not for a client."""
    cause = error.__cause__
    position = str(getattr(cause, "position", None) or "")
    line = f", line {sql.count(chr(10), 0, int(position) - 1) + 1}" if position.isdigit() else ""
    return f"{line}: {cause or error}"
