"""The gateway, the whole way and an answer out of four, each beside Fastify: see README.md beside this.

``python benchmarks/gateway/run.py [--rounds 5] [--seconds 2] [--packages DIR] [--node DIR]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "database"))

import report
import wrk
from harness import LOAD_CORE, Round, cpu_seconds, machine, pin
from notes import CREATE, INSERT, LIST, NOTE, ONE, PERSON, PROJECT
from report import FASTIFY, OWN, SPLICED, UNLIMITED, VARIED
from sides import Makers, Running, Side, Users, node_modules, node_version, started, upstream

from focushub_core.database import migrate
from focushub_core.testing.servers import postgres, valkey

RESULTS = Path(__file__).parents[1] / "results"
POOL = 10
"""Each side's connections to PostgreSQL."""
SAMPLE = 20
"""Users whose answers are looked at before and after."""


class Scenario(NamedTuple):
    """What is asked of whom, with how many connections; ``good`` looks at an answer's document."""

    key: str
    path: str
    connections: Sequence[int]
    sides: Sequence[Side]
    good: Callable[[Any], bool]


def main() -> int:
    """Runs, prints tables, keeps the rounds; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--packages", type=Path, help="a folder that Debian packages were unpacked into")
    arguments.add_argument("--node", type=Path, help="a folder in which npm has installed the peers")
    arguments.add_argument("--only", nargs="*", default=(), help=f"of {', '.join(report.TITLES)}")
    arguments.add_argument("--name", default="gateway", help="of the files in benchmarks/results")
    given = arguments.parse_args()
    tools = wrk.Tools(given.packages)
    pin(LOAD_CORE)  # what is started here and belongs to no side inherits it
    before = os.getloadavg()[0]
    found: list[Round] = []
    with ExitStack() as stack:
        for scenario in scenarios(tools, given.node, stack):
            if not given.only or scenario.key in given.only:
                found += measure(scenario, tools, given.rounds, given.seconds)
    result = {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{machine()}, Node {node_version()}",
        "load": [before, os.getloadavg()[0]],
        "seconds": given.seconds,
        "rounds": found,
    }
    written = report.table(result)
    if not given.only or given.name != "gateway":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{given.name}.json").write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / f"{given.name}.md").write_text(written)
        (RESULTS / f"{given.name}.svg").write_text(report.chart(result))
    sys.stdout.write(written)
    return 1 if report.misses(found) else 0


def scenarios(tools: wrk.Tools, node: Path | None, stack: ExitStack) -> list[Scenario]:
    """All of them, with what they need running; ``stack`` stops it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="focushub-bench-")))
    redis = stack.enter_context(valkey()).url
    database = stack.enter_context(stack.enter_context(postgres()).database("notes"))
    asyncio.run(migrate(database, CREATE))
    services = stack.enter_context(upstream(tools, folder))
    users = Users()
    make = Makers(users, services, redis, node_modules(node, stack), folder)
    ours, theirs = users.ours, users.theirs
    asked = {"ONE": ONE, "LIST": LIST, "INSERT": INSERT, "PROJECT": str(PROJECT), "PERSON": str(PERSON)}
    service = make.their_service(database, json.dumps(asked | {"POOL": POOL}))
    gateway = (
        Side(OWN, [make.our_gateway()], ours),
        Side(f"{OWN}, {UNLIMITED}", [make.our_gateway(limited=False)], ours, limited=False),
        Side(VARIED, [make.our_gateway()], ours, varied=True),
        Side(FASTIFY, [make.their_gateway()], theirs),
        Side(f"{FASTIFY}, {UNLIMITED}", [make.their_gateway(limited=False)], theirs, limited=False),
    )
    whole = (
        Side(OWN, [make.our_service(database), make.our_gateway(), make.our_balancer()], ours),
        Side(FASTIFY, [service, make.their_gateway(), make.their_balancer()], theirs),
    )
    aggregation = (
        Side(OWN, [make.our_gateway()], ours),
        Side(FASTIFY, [make.their_gateway()], theirs),
        Side(SPLICED, [make.their_gateway(spliced=True)], theirs),
    )
    return [
        Scenario("gateway", "/v1/tasks?limit=50", (64, 1), gateway, lambda body: body["title"] == "hello"),
        Scenario("whole", f"/v1/notes/{NOTE}", (64,), whole, lambda body: body["id"] == str(NOTE)),
        Scenario("aggregation", "/v1/dashboard", (64,), aggregation, _is_whole),
    ]


def _is_whole(body: Any) -> bool:
    sections = body["sections"]
    counts = [len(sections[name]["data"]["items"]) for name in ("profile", "tasks", "focus", "habits")]
    return counts == [5, 10, 6, 8] and body["partial"] is False


# Measuring --------------------------------------------------------------------------------------------------


def measure(scenario: Scenario, tools: wrk.Tools, rounds: int, seconds: int) -> list[Round]:
    """Rounds in which all sides take turns, and the order turns, too."""
    found: list[Round] = []
    with ExitStack() as stack:
        sides = [stack.enter_context(started(side)) for side in scenario.sides]
        for side in sides:
            look_at(side, scenario)
            # compilers that learn need it
            ask(side, scenario, tools, max(scenario.connections), max(seconds, 3))
        for connections in scenario.connections:
            for number in range(rounds):
                turn = number % len(sides)
                for side in sides[turn:] + sides[:turn]:
                    row = ask(side, scenario, tools, connections, seconds)
                    row |= {"scenario": scenario.key, "connections": connections, "round": number}
                    found.append(row | {"name": side.side.name})
                    sys.stderr.write(
                        f"{scenario.key} {connections} {number} {side.side.name}: "
                        f"{row['per_second']:.0f}/s, {row['cpu_us']:.1f} us, core {row['core']:.2f}\n"
                    )
        for side in sides:
            look_at(side, scenario)
    return found


def ask(side: Running, scenario: Scenario, tools: wrk.Tools, connections: int, seconds: int) -> Round:
    """One turn of a side; ``core`` is how much of its core it used: with less than all of it, something else waited."""
    text = wrk.script(side.side.tokens, varied=side.side.varied)
    decided = _decided(side)
    before, began = _used(side), time.monotonic()
    row = wrk.ask(tools, side.url + scenario.path, text, connections=connections, seconds=seconds)
    used, took = _used(side) - before, time.monotonic() - began
    for name, count in _decided(side).items():
        row[name] = (count - decided[name]) / row["requests"]
    return row | {"cpu_us": used / row["requests"] * 1e6, "core": used / took}


def _used(side: Running) -> float:
    return sum(cpu_seconds(pid) for pid in side.pids)


def _decided(side: Running) -> dict[str, int]:
    """How many of our limiter's decisions asked nobody, and how many should have but Valkey did not answer in time."""
    if not side.side.name.startswith(OWN) or not side.side.limited or len(side.pids) > 1:
        return {}
    numbers = json.loads(_get(f"{side.url}/readyz?verbose", "")[2])["limits"]["policies"].get("user", {})
    return {name: numbers.get(name, 0) for name in ("leased", "degraded")}


# Looking at answers -----------------------------------------------------------------------------------------


def look_at(side: Running, scenario: Scenario) -> None:
    """Some users' answers are what they should be, strangers get none, and requests are counted."""
    for token in side.side.tokens[:SAMPLE]:
        status, fields, body = _get(side.url + scenario.path, token)
        limits = {name.lower() for name in fields} & {"ratelimit", "ratelimit-limit"}
        if status != 200 or not scenario.good(json.loads(body)):
            raise SystemExit(f"{side.side.name} answers {status} {body[:200]!r}")
        if bool(limits) is not side.side.limited or not fields.get("x-request-id"):
            raise SystemExit(f"{side.side.name} does not say what it should: {fields}")
    token = side.side.tokens[0]
    for stranger in ("", f"{token[:-8]}AAAAAAAA"):
        if _get(side.url + scenario.path, stranger)[0] != 401:
            raise SystemExit(f"{side.side.name} lets strangers in")
    if b"http_request_duration_seconds_bucket" not in _get(f"{side.url}/metrics", token)[2]:
        raise SystemExit(f"{side.side.name} counts nothing")


def _get(url: str, token: str) -> tuple[int, Any, bytes]:
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(url, headers=fields), timeout=10) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read()
    except HTTPError as refused:
        return refused.code, refused.headers, refused.read()


if __name__ == "__main__":
    os.environ.pop("FOCUSHUB_PG_BIN", None)
    sys.exit(main())
