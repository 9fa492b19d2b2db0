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

from focushub_core.database import migrations
from focushub_core.database.provision import provision
from focushub_core.errors import ConfigurationError, FocusHubError, Unavailable
from focushub_generator.local import lines

VARIABLE = "FOCUSHUB_SETUP"
PAUSE = 0.05


class Database(TypedDict):
    """One service's database: its role has its name."""

    name: str
    password: str
    url: str
    migrations: str


class Work(TypedDict):
    """All there is to do; ``patience`` is how long (seconds) a server that is away is waited for."""

    admin_url: str
    patience: float
    databases: list[Database]


async def carry_out(work: Work) -> None:
    """Does all databases side by side; raises the first error that waiting cannot help."""
    deadline = time.monotonic() + work["patience"]
    async with asyncio.TaskGroup() as group:
        for database in work["databases"]:
            group.create_task(_until_done(work["admin_url"], database, deadline))


async def _until_done(admin_url: str, database: Database, deadline: float) -> None:
    while True:
        try:
            await _do(admin_url, database)
            return
        except (OSError, Unavailable) as error:
            if is_full(error) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE)


def is_full(error: BaseException) -> bool:
    """Whether the server is there but has no room (SQLSTATE 53100, disk_full; 53200, out_of_memory)."""
    return getattr(error.__cause__, "sqlstate", None) in {"53100", "53200"}


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
        for failure in failures.exceptions:
            own_words = isinstance(failure, ConfigurationError)
            say("error", str(failure if own_words else failure.__cause__ or failure))
        sys.exit(1)


if __name__ == "__main__":
    main()
