"""A service with a database beside its peers: see README.md beside this.

``python benchmarks/database/run.py [--rounds 5] [--seconds 2] [--packages DIR] [--node DIR]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import msgspec
from notes import CREATE, INSERT, LIST, NOTE, ONE, PERSON, PROJECT, Note, Notes

from focushub_core.database import migrate
from focushub_core.testing.servers import postgres

sys.path.append(str(Path(__file__).parents[1]))

import wrk
from harness import LOAD_CORE, Contender, Round, cpu_seconds, machine, pin, ratios, running

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
POOL = 10
CONNECTIONS = 64
PACKAGES = ("fastify@5", "fastify-metrics@13", "pg@8", "prom-client@15")
FASTIFY, TUNED = "Fastify + pg", "Fastify + pg, tuned"
OWN, STOCK, AIOPG = "FocusHub", "FocusHub on asyncpg's own pool", "FocusHub on aiopg"


class Scenario(NamedTuple):
    """What is asked; ``goal`` is of throughput over Fastify's."""

    name: str
    path: str
    goal: float
    kind: type
    script: str = ""


BODY = json.dumps(
    {"project_id": str(NOTE), "title": "Buy milk", "description": "Two litres.", "priority": 2},
    separators=(",", ":"),
)
POST = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
local run, n = "KEY", 0
request = function()
  n = n + 1
  wrk.headers["Idempotency-Key"] = run .. n
  return wrk.format()
end
"""
SCENARIOS = (
    Scenario("one row", f"/v1/notes/{NOTE}", 1.2, Note),
    Scenario("a list of 20", "/v1/notes?limit=20", 1.4, Notes),
    Scenario("an insert", "/v1/notes", 1.0, Note, POST),
)


def main() -> int:
    """Runs, prints tables, keeps the rounds; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--packages", type=Path, help="a folder that Debian packages were unpacked into")
    arguments.add_argument("--node", type=Path, help=f"where npm has installed {' '.join(PACKAGES)}")
    arguments.add_argument("--only", nargs="*", help="names of contenders, for a closer look")
    arguments.add_argument("--name", default="database")
    given = arguments.parse_args()
    load = Load(given.packages)
    pin(LOAD_CORE)  # PostgreSQL, too
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        url = stack.enter_context(server.database("notes"))
        asyncio.run(migrate(url, CREATE))
        contenders, missing = peers(url, given.node, stack)
        if given.only:
            contenders = [each for each in contenders if each.name in given.only]
        found = measure(contenders, load, given.rounds, given.seconds)
    result = {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "load_after": os.getloadavg()[0],
        "seconds": given.seconds,
        "connections": CONNECTIONS,
        "pool": POOL,
        "missing": missing,
        "rounds": found,
    }
    written = report(result)
    if not given.only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{given.name}.json").write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / f"{given.name}.md").write_text(written)
    sys.stdout.write(written)
    return 1 if misses(found) else 0


def peers(url: str, node: Path | None, stack: ExitStack) -> tuple[list[Contender], list[str]]:
    """Who takes part, ours first; and what is missing."""
    environ = {"DATABASE_URL": url, "LOG_FORMAT": "json", "FOCUSHUB_ENV": "production"}
    found = [
        Contender(name, [sys.executable, str(HERE / "service.py"), which], environ)
        for name, which in ((OWN, "own"), (STOCK, "stock"), (AIOPG, "aiopg"))
    ]
    missing = []
    try:
        import aiopg  # noqa: F401
    except ImportError:
        found.pop()
        missing.append("aiopg is not installed: the extra [aiopg]")
    modules = node_modules(node, stack)
    if modules is None:
        missing.append("npm is not installed, and with it Fastify")
        return found, missing
    asked = {"ONE": ONE, "LIST": LIST, "INSERT": INSERT, "PROJECT": str(PROJECT), "PERSON": str(PERSON)}
    theirs = {
        "DATABASE_URL": url,
        "NODE_ENV": "production",
        "NODE_MODULES_OF": str(modules),
        "NOTES": json.dumps(asked | {"POOL": POOL}),
    }
    for name, which in ((TUNED, "tuned"), (FASTIFY, "plain")):
        found.insert(1, Contender(name, ["node", str(HERE / "fastify.cjs"), which], theirs))
    return found, missing


def node_modules(given: Path | None, stack: ExitStack) -> Path | None:
    """A folder in which Fastify is installed, by npm into a temporary one where none is given."""
    if given is not None:
        return given.resolve()
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="focushub-bench-"))
    install = [npm, "install", "--no-fund", "--no-audit", "--prefix", folder, *PACKAGES]
    subprocess.run(install, check=True, capture_output=True)  # noqa: S603
    return Path(folder)


# Measuring --------------------------------------------------------------------------------------------------


class Load:
    """Asks by wrk; every key of an insert comes once."""

    def __init__(self, packages: Path | None) -> None:
        self._tools = wrk.Tools(packages)
        self._runs = 0

    def ask(self, scenario: Scenario, pid: int, port: int, seconds: int) -> Round:
        """What the server did in ``seconds``."""
        self._runs += 1
        script = scenario.script.replace("KEY", f"{os.getpid()}-{self._runs}-")
        url = f"http://127.0.0.1:{port}{scenario.path}"
        before = cpu_seconds(pid)
        output = wrk.run(self._tools, url, script, connections=CONNECTIONS, seconds=seconds, timeout_s=10)
        used = cpu_seconds(pid) - before
        found = wrk.read(output)
        return {**found, "cpu_us": used / found["requests"] * 1e6}


def measure(contenders: Sequence[Contender], load: Load, rounds: int, seconds: int) -> list[Round]:
    """Each scenario's rounds, in which all take turns, and the order turns, too."""
    found: list[Round] = []
    with ExitStack() as stack:
        servers = {each.name: stack.enter_context(running(each)) for each in contenders}
        for scenario in SCENARIOS:
            require_same_answers(servers, scenario)
            for pid, port in servers.values():
                load.ask(scenario, pid, port, 2)  # warm: compilers that learn need it
            for number in range(rounds):
                turn = number % len(servers)
                for name, (pid, port) in [*servers.items()][turn:] + [*servers.items()][:turn]:
                    row = {"scenario": scenario.name, "round": number, "name": name}
                    found.append(row | load.ask(scenario, pid, port, seconds))
                    sys.stderr.write(f"{scenario.name} {number} {name}: {found[-1]['per_second']:.0f}/s\n")
    return found


def require_same_answers(servers: Mapping[str, tuple[int, int]], scenario: Scenario) -> None:
    """The same status and values; how an instant's fraction is written may differ, and what an insert makes up."""
    answers = {}
    for name, (_, port) in servers.items():
        fields = {"Content-Type": "application/json", "Idempotency-Key": f"{os.getpid()}-{name.split()[-1]}"}
        body = BODY.encode() if scenario.script else None
        request = Request(f"http://127.0.0.1:{port}{scenario.path}", data=body, headers=fields)
        said = []
        for _ in range(2 if body else 1):  # an insert's second answer is its first
            with urlopen(request, timeout=10) as answer:  # noqa: S310
                said.append((answer.status, msgspec.json.decode(answer.read(), type=scenario.kind)))
        if said[0] != said[-1]:
            raise SystemExit(f"{name} acts twice")
        status, value = said[0]
        made_up = {"id": NOTE, "created_at": None, "updated_at": None} if body else {}
        answers[name] = status, msgspec.structs.replace(value, **made_up)
    first = next(iter(answers.values()))
    for name, said in answers.items():
        if said != first:
            raise SystemExit(f"{name} answers something else: {said} instead of {first}")


# Saying -----------------------------------------------------------------------------------------------------


def report(result: Mapping[str, Any]) -> str:
    """A table of all scenarios, in Markdown."""
    found = result["rounds"]
    lines = [
        "# A service with a database",
        "",
        f"{result['when']}, {result['machine']}, load average {result['load_after']:.1f} at the end; "
        f"{result['connections']} connections, {result['pool']} to PostgreSQL, "
        f"{max(row['round'] for row in found) + 1} alternating rounds of {result['seconds']} s. "
        "Ratios are medians of the rounds' (least to most); read those of CPU where the machine had other work.",
        "",
        "| | | requests/s | over Fastify's | p99 | CPU per request | of Fastify's |",
        "|---" * 7 + "|",
    ]
    for scenario in SCENARIOS:
        rows = [row for row in found if row["scenario"] == scenario.name]
        for number, name in enumerate(_names(rows)):
            mine = [row for row in rows if row["name"] == name]
            rate, p99, cpu = (
                statistics.median(row[key] for row in mine) for key in ("per_second", "p99_ms", "cpu_us")
            )
            cells = ["" if number else f"{scenario.name} (goal {scenario.goal} x)", name, f"{rate:.0f}"]
            cells += [_over(rows, name, "per_second"), f"{p99:.1f} ms", f"{cpu:.0f} us"]
            cells += [_over(rows, name, "cpu_us")]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nNot compared: {each}." for each in result["missing"]]
    lines += [
        f"\n{row['failed']} of {row['requests']} were refused: {row['scenario']}, {row['name']}, round {row['round']}."
        for row in found
        if row["failed"]
    ]
    missed = misses(found)
    return "\n".join([*lines, "", f"Missed: {'; '.join(missed)}." if missed else "All goals reached."]) + "\n"


def misses(found: Sequence[Round]) -> list[str]:
    """The goals that are not reached: throughput by the median of the rounds' ratios, and p99 likewise."""
    missed = []
    for scenario in SCENARIOS:
        rows = [row for row in found if row["scenario"] == scenario.name]
        if not {OWN, FASTIFY} <= set(_names(rows)):
            continue
        if (rate := ratios(rows, "per_second", OWN, FASTIFY)[0]) < scenario.goal:
            missed.append(f"{scenario.name}, {rate:.2f} x of {scenario.goal} x")
        if (p99 := ratios(rows, "p99_ms", OWN, FASTIFY)[0]) > 1:
            missed.append(f"{scenario.name}, p99 {p99:.2f} x")
    return missed


def _over(rows: Sequence[Round], name: str, key: str) -> str:
    """The median of the rounds' ratios, the least and the most."""
    if FASTIFY not in _names(rows):
        return "-"
    return "{:.2f} ({:.2f} to {:.2f})".format(*ratios(rows, key, name, FASTIFY))


def _names(rows: Sequence[Round]) -> list[str]:
    """In the order of the first round."""
    return list(dict.fromkeys(row["name"] for row in rows))


if __name__ == "__main__":
    os.environ.pop("FOCUSHUB_PG_BIN", None)
    sys.exit(main())
