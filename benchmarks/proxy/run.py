"""Compares proxies in alternating rounds: ``python benchmarks/proxy/run.py --rounds 5 --seconds 3``.

All run at once and idle but for the one whose turn it is. Each round asks each of them once, in an order that turns, so
that what else the machine does meets all alike. Proxies have one core, the load generator and the upstreams another.
CPU per request is what /proc says the proxy used, user and system, over the requests of the round. Reported are ratios
to nginx of the same round: their median, least and most. A request that fails ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import large
import peers
import report
import starts
import wrk
from harness import LOAD_CORE, SERVER_CORE, cpu_seconds

CONNECTIONS = 64
TOKEN = "x" * 100
RESULTS = Path(__file__).parents[1] / "results"


def one_round(
    tools: peers.Tools, peer: peers.Peer, pid: int, seconds: int, delay_ms: float = 0
) -> dict[str, float]:
    """What ``peer`` did in ``seconds``."""
    text = wrk.script([TOKEN], varied=peer.varied, delay_ms=delay_ms)
    url = f"http://127.0.0.1:{peer.port}/v1/tasks?limit=50"
    before = cpu_seconds(pid)
    row = wrk.ask(tools, url, text, connections=CONNECTIONS, seconds=seconds)
    return {**row, "cpu_us": (cpu_seconds(pid) - before) / max(row["requests"], 1) * 1e6}


@contextmanager
def running(tools: peers.Tools) -> Iterator[tuple[dict[str, tuple[peers.Peer, int]], list[str]]]:
    """All peers that are there, with their process ids; and what is missing."""
    missing: list[str] = []
    found: dict[str, tuple[peers.Peer, int]] = {}
    with ExitStack() as stack:
        _start(stack, tools, peers.sink(), LOAD_CORE, "sink", peers.SINK)
        _start(stack, tools, peers.upstreams(tools), LOAD_CORE, "upstreams", peers.UPSTREAMS[0])
        for make in peers.ALL:
            try:
                peer = make(tools)
            except peers.Missing as error:
                missing.append(f"{make.__name__}: {error}")
                continue
            log = peer.name.replace(", ", "-").replace(" ", "-") + ".log"
            found[peer.name] = (peer, _start(stack, tools, peer.argv, SERVER_CORE, log, peer.port))
        yield found, missing


def _start(stack: ExitStack, tools: peers.Tools, argv: list[str], core: int, log: str, port: int) -> int:  # noqa: PLR0917
    process = peers.start(argv, core, tools, log)
    stack.callback(process.wait)
    stack.callback(process.kill)
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process.pid
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{argv[0]} does not listen: {(tools.work / log).read_text()}") from None
            time.sleep(0.05)


def main() -> None:
    """Runs the rounds, and writes raw figures, a table and a chart."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--packages", type=Path, help="a folder that Debian packages were unpacked into")
    arguments.add_argument("--node", type=Path, help="a folder with node_modules")
    arguments.add_argument("--name", default="proxy")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="focushub-bench-") as folder:
        tools = peers.Tools(given.packages, given.node, Path(folder))
        result = measure(tools, given.rounds, given.seconds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    table = report.table(result)
    (RESULTS / f"{given.name}.md").write_text(table)
    (RESULTS / f"{given.name}.svg").write_text(report.chart(result))
    sys.stdout.write(table)


def measure(tools: peers.Tools, rounds: int, seconds: int) -> dict[str, object]:
    """The raw figures of all rounds."""
    taken: list[dict[str, object]] = []
    with running(tools) as (found, missing):
        names = list(found)
        for name in names:
            one_round(tools, *found[name], 3)  # warm: compilers that learn need it
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                figures = one_round(tools, *found[name], seconds)
                taken.append({"round": number, "load": "full", "peer": name, **figures})
                sys.stderr.write(
                    f"{number} {name}: {figures['cpu_us']:.1f} us, {figures['per_second']:.0f}/s\n"
                )
        half = _half_of(taken)
        for number in range(rounds):
            for name in names:
                delay_ms = CONNECTIONS / half * 1000 if half else 0
                figures = one_round(tools, *found[name], seconds, delay_ms)
                taken.append({"round": number, "load": "half", "peer": name, **figures})
        bulk = [
            large.measure(name, *found[name])
            for _ in range(rounds)
            for name in ("nginx", "focushub")
            if name in found
        ]
        started = starts.measure()
        memory = {name: large.resident_mb(pid) for name, (_, pid) in found.items()}
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {"cores": os.cpu_count(), "system": platform.release(), "python": platform.python_version(),
                    "load_before": os.getloadavg()},
        "seconds": seconds, "connections": CONNECTIONS, "missing": missing, "half_per_s": half,
        "rounds": taken, "large": bulk, "starts": started, "resident_after_mb": memory,
    }  # fmt: skip


def _half_of(taken: list[dict[str, object]]) -> float:
    """Half of what fastify does at full load; of the slowest where it is missing."""
    speeds: dict[str, list[float]] = {}
    for one in taken:
        speeds.setdefault(str(one["peer"]), []).append(float(str(one["per_second"])))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return medians.get("fastify", min(medians.values())) / 2


if __name__ == "__main__":
    main()
