"""An embedded PostgreSQL for development and tests, small in memory.

Rules that hold here:

* The cluster appears whole or not at all: initdb works in a folder beside it, which is then renamed.
* ``postgresql.conf`` and ``pg_hba.conf`` are written anew before each start; what people want to add goes into
  ``local.conf`` beside them.
* A process id in ``postmaster.pid`` proves nothing: after kill -9 it may be a zombie's or somebody else's.
* Outside its data it makes nothing. So there is no Unix socket: its folder would have to be short (a socket's path may
  have 104 bytes), hence lie in ``/tmp``, and a server that is killed would leave it there.
"""

# ruff: noqa: S603 - what is executed is found by `binaries`, or is the system's own sh and ps

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from focushub_core.embedded import place
from focushub_core.embedded.binaries import Binaries, find_postgres, readable_by
from focushub_core.embedded.server import EmbeddedServer
from focushub_core.errors import ConfigurationError

_INITDB_DEADLINE_S = 60
_PREDECESSOR_DEADLINE_S = 10.0

# For a handful of services on one machine: few helpers, small shared memory, nothing that makes a commit less safe.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "16MB",
    "maintenance_work_mem": "16MB",
    "wal_buffers": "1MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "1",
    "huge_pages": "off",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_line_prefix": "",
    "log_min_error_statement": "panic",  # a statement in the log could hold what somebody entered
}
_SETTINGS_SINCE_18 = {"io_method": "sync"}  # no I/O worker processes
# A service's role has no business in the databases that come with the cluster.
_ACCESS = """\
# Written anew before each start.
local all                 {superuser}           scram-sha-256
host  all                 {superuser} samehost  scram-sha-256
local postgres,template1  all                   reject
host  postgres,template1  all         samehost  reject
local all                 all                   scram-sha-256
host  all                 all         samehost  scram-sha-256
"""


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server; ``user`` is its superuser, ``settings`` go before those of this module."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": sessions are ended, a checkpoint is written

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        password: str,
        user: str = "postgres",
        run_as: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data, port=port, password=password, run_as=run_as)
        self.user = user
        self.settings = dict(settings or {})
        self._binaries: Binaries | None = None

    def prepare(self) -> None:
        """Make the cluster where it is missing (about a second), clear what a killed server left, write settings."""
        self._settle()
        self._binaries = readable_by(self._account, find_postgres(), "postgres", place.STATE / "bin")
        self._await_predecessor()
        version = _major(self._binaries)
        if not self.data.exists():
            self._create(version)
        self._refuse_other_version(version)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._write_settings(version)

    def command(self) -> list[str]:
        return [str(self._program("postgres")), "-D", str(self.data)]

    def url(self, database: str = "postgres") -> str:
        login = f"{quote(self.user, safe='')}:{quote(self._password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    async def ask(self, timeout: float) -> bool:
        import asyncpg

        try:
            connection = await asyncpg.connect(
                self.url(), timeout=timeout, command_timeout=timeout, ssl=False
            )
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            raise ConfigurationError(
                f"{self.data} was made with another password or user: {error}"
            ) from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            return bool(await connection.fetchval("SELECT true"))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()

    def _program(self, name: str) -> Path:
        if self._binaries is None:
            raise ConfigurationError("prepare() comes before command()")
        return self._binaries.program(name)

    def _await_predecessor(self) -> None:
        """A server told to stop may still be writing its checkpoint; a killed one's backends end a moment later."""
        end = time.monotonic() + _PREDECESSOR_DEADLINE_S
        while pids := _running_on(self.data):
            if time.monotonic() > end:
                raise ConfigurationError(f"PostgreSQL already runs on {self.data} (processes {pids})")
            time.sleep(0.05)

    def _create(self, version: int) -> None:
        for left in self.data.parent.glob(f"{self.data.name}.*.new"):
            shutil.rmtree(left, ignore_errors=True)
        # A name of its own: the initdb of a start that was killed may still be writing into the folder it was given.
        building = self.data.with_name(f"{self.data.name}.{secrets.token_hex(4)}.new")
        place.own_folder(building, self._account)
        try:
            self._initdb(building, version)
            (building / "data").rename(self.data)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        _sync_folder(self.data.parent)

    def _initdb(self, building: Path, version: int) -> None:
        """Makes the cluster in ``building / "data"``; the password lies beside it in a file of its own meanwhile."""
        password_file = building / "password"
        place.write_private(password_file, self._password + "\n", self._account)
        command = [str(self._program("initdb")), "--pgdata", str(building / "data"), "--username", self.user]
        command += [
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--data-checksums",
            "--encoding=UTF8",
        ]
        command += _locale(version)
        options = self.popen_options() | {"cwd": building}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_INITDB_DEADLINE_S, **options
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
            raise ConfigurationError(f"PostgreSQL's initdb failed: {said}")

    def _refuse_other_version(self, version: int) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"{self.data} is not PostgreSQL's: {error.strerror}") from error
        if found != str(version):
            raise ConfigurationError(
                f"{self.data} was made by PostgreSQL {found}; the one found is {version}"
            )

    def _write_settings(self, version: int) -> None:
        settings = {**_SETTINGS, **(_SETTINGS_SINCE_18 if version >= 18 else {})}
        settings |= {"port": str(self.port), **self.settings}
        lines = ["# Written anew before each start; own settings go into local.conf.\n"]
        lines += [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()]
        if (self.data / "local.conf").exists():
            lines.append("include 'local.conf'\n")
        place.write_private(self.data / "postgresql.conf", "".join(lines), self._account)
        superuser = '"' + self.user.replace('"', '""') + '"'
        place.write_private(self.data / "pg_hba.conf", _ACCESS.format(superuser=superuser), self._account)


def _locale(version: int) -> list[str]:
    """The same order and case rules on every system, where this version can."""
    if version >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _major(binaries: Binaries) -> int:
    """The major version, from ``initdb (PostgreSQL) 18.6``."""
    program = binaries.program("initdb")
    try:
        done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=10)
        return int(done.stdout.split(") ")[1].split(".")[0].split()[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise ConfigurationError(f"{program} does not run: {error}") from error


def _running_on(data: Path) -> list[int]:
    """The processes of a server on ``data``: those that work in it, whatever ``postmaster.pid`` says."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    if Path("/proc/self").exists():
        names = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return sorted(int(name) for name in names if _works_in(Path("/proc") / name, data.resolve()))
    command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return [pid] if str(data) in shown else []


def _works_in(process: Path, data: Path) -> bool:
    """Every process of a server works in its data folder; a zombie works nowhere."""
    try:
        return (process / "cwd").readlink() == data
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
