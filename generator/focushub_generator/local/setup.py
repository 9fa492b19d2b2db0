"""Makes roles and databases and brings them up to date: ``python -m focushub_generator.local.setup``, once per `up`.

A process of its own behind the guard, so that `up` stays small and can be killed at any moment of it. Everything
here may be done again: a server that goes away in between is waited for, and the work is begun anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import TypedDict
from urllib.parse import urlsplit

from focushub_core.database import migrations
from focushub_core.database.provision import provision
from focushub_core.errors import ConfigurationError, FocusHubError, Unavailable
from focushub_generator.local import lines

VARIABLE = "FOCUSHUB_SETUP"
PAUSE = 0.05
QUIET = 3.0
"""Seconds that a server may take to come up before it is said that somebody waits for it."""

HOPELESS = frozenset({"28000", "28P01", "3D000", "53100", "53200"})
"""SQLSTATEs that waiting does not help: a wrong login or database; no room on the disk or in memory."""


class Database(TypedDict):
    """One service's database: its role has its name."""

    name: str
    password: str
    url: str
    migrations: str


class Work(TypedDict):
    """All there is to do; ``patience`` is how long (seconds) a server that is away is waited for.

    ``login`` is what to do when the administrator's login is refused.
    """

    admin_url: str
    login: str
    patience: float
    databases: list[Database]


class Patience:
    """How long the server at ``where`` may still be away; the first wait that is a long one is said."""

    def __init__(self, seconds: float, where: str) -> None:
        self._began = time.monotonic()
        self._seconds, self._where, self._said = seconds, where, False

    def has_ended(self) -> bool:
        """Whether enough has been waited; says once that somebody waits."""
        waited = time.monotonic() - self._began
        if waited > QUIET and not self._said:
            self._said = True
            say("warning", f"waiting for PostgreSQL at {self._where}, at most {self._seconds:g} s")
        return waited > self._seconds


async def carry_out(work: Work) -> None:
    """Does all databases side by side; raises the first error that waiting cannot help."""
    patience = Patience(work["patience"], place(work["admin_url"]))
    async with asyncio.TaskGroup() as group:
        for database in work["databases"]:
            group.create_task(_until_done(work["admin_url"], database, patience))


async def _until_done(admin_url: str, database: Database, patience: Patience) -> None:
    while True:
        try:
            await _do(admin_url, database)
            return
        except (OSError, Unavailable) as error:
            if state_of(error) in HOPELESS or patience.has_ended():
                raise
            await asyncio.sleep(PAUSE)


def state_of(error: BaseException) -> str | None:
    """The SQLSTATE behind an error, where PostgreSQL gave one."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state


def place(url: str) -> str:
    """Where a server is, without the login: what may be shown."""
    address = urlsplit(url)
    return f"{address.hostname}:{address.port or 5432}"


def reason(failure: BaseException, work: Work) -> str:
    """One line that says what failed, and what to do where that is known."""
    cause = failure.__cause__ or failure
    if isinstance(failure, ConfigurationError):
        return str(failure)
    if isinstance(cause, OSError):  # TimeoutError is one
        return f"PostgreSQL at {place(work['admin_url'])} does not answer"
    login = f"; {work['login']}" if state_of(failure) in {"28000", "28P01"} else ""
    return f"{cause}{login}"


async def _do(admin_url: str, database: Database) -> None:
    name, folder = database["name"], database["migrations"]
    await provision(admin_url, database=name, role=name, password=database["password"])
    applied = await migrations.migrate(database["url"], folder)
    count = f"{len(applied)} migrations applied" if applied else "up to date"
    say("info", f"{name}: {count}")


def say(level: str, text: str) -> None:
    """Prints a log line."""
    sys.stdout.write(json.dumps({"ts": lines.now(), "level": level, "part": "setup", "message": text}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Does what the environment describes; 1 and one line on failure."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # asked to stop: at once, and without a traceback
    work: Work = json.loads(os.environ.pop(VARIABLE))
    try:
        asyncio.run(carry_out(work))
    except* (OSError, FocusHubError) as failures:
        for line in dict.fromkeys(reason(failure, work) for failure in failures.exceptions):
            say("error", line)
        sys.exit(1)


if __name__ == "__main__":
    main()
