"""Limits side by side: see README.md beside this."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from focushub_core.embedded.ports import free_port
from focushub_core.testing.servers import valkey

sys.path.append(str(Path(__file__).parents[1]))

from harness import LOAD_CORE, SERVER_CORE, Round, measure, pin

HERE = Path(__file__).parent
PACKAGES = ("fastify@5", "@fastify/rate-limit@10", "@fastify/http-proxy@11", "ioredis@5")


class Contender(NamedTuple):
    """A server: what starts it, after which come its port and ``arguments``."""

    name: str
    command: Sequence[str]
    arguments: Sequence[str]


class Scenario(NamedTuple):
    """The first of the contenders is compared with each of the others."""

    name: str
    connections: int
    contenders: Sequence[Contender]


@contextmanager
def running(command: Sequence[str], port: int, core: int, **environ: str) -> Iterator[int]:
    """A server on its core, once it takes connections; gives its process id."""
    process = subprocess.Popen(command, preexec_fn=lambda: pin(core), env=os.environ | environ)  # noqa: PLW1509, S603
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"it did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def node_modules(given: str | None, keep: ExitStack) -> str | None:
    """A folder in which the peers are installed; None, and said so, where that cannot be."""
    if given:
        return given
    if shutil.which("npm") is None:
        print("missing: npm, and with it Fastify: its rows are left out")  # noqa: T201
        return None
    folder = keep.enter_context(tempfile.TemporaryDirectory(prefix="focushub-bench-"))
    subprocess.run(["npm", "init", "-y"], cwd=folder, check=True, capture_output=True)  # noqa: S607
    subprocess.run(  # noqa: S603
        ["npm", "install", "--no-fund", "--no-audit", *PACKAGES],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def scenarios(redis: str, upstream: str, with_node: bool) -> list[Scenario]:
    def own(name: str, script: str, *arguments: str) -> Contender:
        return Contender(name, (sys.executable, str(HERE / script)), arguments)

    def node(name: str, script: str, *arguments: str) -> list[Contender]:
        return [Contender(name, ("node", str(HERE / script)), arguments)] if with_node else []

    service = [
        own("focushub", "service.py", redis),
        own("focushub, plain aiohttp", "plain.py", redis),
        *node("fastify", "fastify_service.mjs", redis),
        *node("fastify, tuned", "fastify_service.mjs", redis, "pipelining"),
    ]
    gateway = own("focushub", "gateway.py", upstream, redis)
    return [
        Scenario("service-1", 1, service),
        Scenario("service-64", 64, service),
        Scenario("gateway-64", 64, [gateway, *node("fastify", "fastify_gateway.mjs", upstream, redis)]),
        Scenario("gateway-cost", 64, [gateway, own("without limits", "gateway.py", upstream, "-")]),
    ]


def run(scenario: Scenario, rounds: int, seconds: float, environ: dict[str, str]) -> dict[str, list[Round]]:
    """All contenders, started together, measured in turns; the first turn of each is a warm-up."""
    rows: dict[str, list[Round]] = {contender.name: [] for contender in scenario.contenders}
    with ExitStack() as keep:
        servers: list[tuple[str, int, int]] = []
        for contender in scenario.contenders:
            port = free_port()
            command = [*contender.command, str(port), *contender.arguments]
            pid = keep.enter_context(running(command, port, SERVER_CORE, **environ))
            servers.append((contender.name, pid, port))
        for number in range(rounds + 1):
            for name, pid, port in servers:
                row = measure(pid, port, "/hello", seconds if number else 1.0, scenario.connections)
                if number:
                    rows[name].append(row)
    return rows


def report(scenario: Scenario, rows: dict[str, list[Round]]) -> None:
    for name, measured in rows.items():
        middle = {key: statistics.median(row[key] for row in measured) for key in measured[0]}
        print(  # noqa: T201
            f"{scenario.name:13} {name:23} {middle['per_second']:8.0f}/s  {middle['cpu_us']:6.1f} us CPU  "
            f"p50 {middle['p50_ms']:6.2f} ms  p99 {middle['p99_ms']:6.2f} ms"
        )
    first, *others = rows
    for other in others:
        for what, higher in (("per_second", True), ("cpu_us", False)):
            pairs = zip(rows[first], rows[other], strict=True)
            ratios = sorted(a[what] / b[what] if higher else b[what] / a[what] for a, b in pairs)
            print(  # noqa: T201
                f"{scenario.name:13} {first} : {other}, by {what}: "
                f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--node-modules", help="a folder in which npm has installed the peers")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with ExitStack() as keep:
        modules = node_modules(given.node_modules, keep)
        server = keep.enter_context(valkey())
        os.sched_setaffinity(server.process.pid, {LOAD_CORE})
        behind = free_port()
        keep.enter_context(
            running([sys.executable, str(HERE / "upstream.py"), str(behind)], behind, LOAD_CORE)
        )
        environ = {"NODE_MODULES_OF": modules} if modules else {}
        for scenario in scenarios(server.url, str(behind), with_node=modules is not None):
            if given.only and scenario.name not in given.only:
                continue
            rows = results[scenario.name] = run(scenario, given.rounds, given.seconds, environ)
            report(scenario, rows)
    given.output.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
