"""What a `Service` costs beside bare aiohttp: see README.md beside this.

``python benchmarks/overhead/run.py [--rounds 7] [--seconds 4] [--connections 32]``
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from note import CREATE, NOTE

from focushub_core.testing.servers import postgres

sys.path.append(str(Path(__file__).parents[1]))

from harness import LOAD_CORE, Contender, compare, keep, machine, pin, ratios, table

HERE = Path(__file__).parent
BARE, QUIET, FULL = "bare aiohttp", "Service, quiet", "Service, log line and metrics"
GOALS = {QUIET: 1.10, FULL: 1.25}


async def fill(url: str) -> None:
    """Makes the table and its row."""
    connection = await asyncpg.connect(url)
    await connection.execute(CREATE)
    await connection.close()


def main() -> int:
    """Runs, prints a table, keeps the rounds; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--connections", type=int, default=32)
    wanted = arguments.parse_args()
    pin(LOAD_CORE)  # PostgreSQL, too
    with postgres() as server, server.database("overhead") as url:
        asyncio.run(fill(url))
        environ = {"DATABASE_URL": url, "LOG_FORMAT": "json", "FOCUSHUB_ENV": "production"}
        found = compare(
            [
                Contender(BARE, [sys.executable, str(HERE / "bare.py")], environ),
                Contender(QUIET, [sys.executable, str(HERE / "service.py"), "quiet"], environ),
                Contender(FULL, [sys.executable, str(HERE / "service.py"), "full"], environ),
            ],
            f"/v1/notes/{NOTE}",
            rounds=wanted.rounds,
            seconds=wanted.seconds,
            connections=wanted.connections,
        )
    keep(
        HERE.parent / "results" / "overhead.json",
        found,
        connections=wanted.connections,
        seconds=wanted.seconds,
    )
    print(f"{machine()}, {wanted.connections} connections\n\n{table(found)}")  # noqa: T201
    missed = [name for name, goal in GOALS.items() if ratios(found, "cpu_us", name, BARE)[0] > goal]
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nall goals reached")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.pop("FOCUSHUB_PG_BIN", None)
    sys.exit(main())
