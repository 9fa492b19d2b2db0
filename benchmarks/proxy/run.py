"""Compares proxies in alternating rounds: ``python benchmarks/proxy/run.py --rounds 5 --seconds 3``.

All run at once and idle but for the one whose turn it is. Each round asks each of them once, in an order that turns, so
that what else the machine does meets all alike. Proxies have one core, the load generator and the upstreams another.
CPU per request is what /proc says the proxy used, user and system, over the requests of the round. Reported are ratios
to nginx of the same round: their median, least and most.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import statistics
import subprocess
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

PROXY_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 64
FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120",
    "Accept": "application/json",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=abcdefghijklmnop; theme=dark",
    "Authorization": "Bearer " + "x" * 100,
    "Referer": "http://localhost/console",
    "Cache-Control": "no-cache",
    "X-Trace": "0190a5c2f7e87b3c",
}
"""With Host, ten."""
RESULTS = Path(__file__).parents[1] / "results"


def script(*, varied: bool, delay_ms: float = 0) -> str:
    """wrk's: the fields, one that differs in each request if ``varied``, and pauses between requests."""
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in FIELDS.items()]
    if varied:
        lines.append("local n = 0")
        lines.append(
            'request = function() n = n + 1; wrk.headers["X-Trace"] = tostring(n); return wrk.format() end'
        )
    if delay_ms:
        lines.append(f"delay = function() return math.random() * {2 * delay_ms:.2f} end")
    return "\n".join(lines)


def ticks(pid: int) -> float:
    """Seconds of CPU that the process and its children have used."""
    total = 0
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += map(int, (task / "children").read_text().split())
    for one in pids:
        stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(stat[11]) + int(stat[12])
    return total / os.sysconf("SC_CLK_TCK")


def one_round(
    tools: peers.Tools, peer: peers.Peer, pid: int, seconds: int, delay_ms: float = 0
) -> dict[str, float]:
    """What ``peer`` did in ``seconds``."""
    lua = tools.write("wrk.lua", script(varied=peer.varied, delay_ms=delay_ms))
    argv = [tools.find("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", lua]
    before = ticks(pid)
    output = subprocess.run(  # noqa: S603
        [*argv, f"http://127.0.0.1:{peer.port}/v1/tasks?limit=50"],
        capture_output=True, text=True, check=True, env=tools.environment(),
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
    ).stdout  # fmt: skip
    used = ticks(pid) - before
    requests = int(_find(r"(\d+) requests in", output))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return {
        "requests": requests,
        "failed": int(failed[1]) if failed else 0,
        "cpu_us": used / max(requests, 1) * 1e6,
        "per_s": float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        "p50_ms": _ms(_find(r"(?m)^ +50%\s+(\S+)", output)),
        "p99_ms": _ms(_find(r"(?m)^ +99%\s+(\S+)", output)),
    }


def _find(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise SystemExit(f"wrk said something unexpected:\n{output}")
    return found[1]


def _ms(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise SystemExit(f"{text!r} is no time")


@contextmanager
def running(tools: peers.Tools) -> Iterator[tuple[dict[str, tuple[peers.Peer, int]], list[str]]]:
    """All peers that are there, with their process ids; and what is missing."""
    missing: list[str] = []
    found: dict[str, tuple[peers.Peer, int]] = {}
    with ExitStack() as stack:
        _start(stack, tools, peers.upstreams(tools), LOAD_CORE, "upstreams", peers.UPSTREAMS[0])
        for make in peers.ALL:
            try:
                peer = make(tools)
            except peers.Missing as error:
                missing.append(f"{make.__name__}: {error}")
                continue
            log = peer.name.replace(", ", "-").replace(" ", "-") + ".log"
            found[peer.name] = (peer, _start(stack, tools, peer.argv, PROXY_CORE, log, peer.port))
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
                sys.stderr.write(f"{number} {name}: {figures['cpu_us']:.1f} us, {figures['per_s']:.0f}/s\n")
        half = _half_of(taken)
        for number in range(rounds):
            for name in names:
                delay_ms = CONNECTIONS / half * 1000 if half else 0
                figures = one_round(tools, *found[name], seconds, delay_ms)
                taken.append({"round": number, "load": "half", "peer": name, **figures})
        bulk = [
            large.measure(tools, name, *found[name])
            for _ in range(rounds)
            for name in ("nginx", "focushub")
            if name in found
        ]
        memory = {name: large.resident_mb(pid) for name, (_, pid) in found.items()}
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {"cores": os.cpu_count(), "system": platform.release(), "python": platform.python_version(),
                    "load_before": os.getloadavg()},
        "seconds": seconds, "connections": CONNECTIONS, "missing": missing, "half_per_s": half,
        "rounds": taken, "large": bulk, "resident_after_mb": memory,
    }  # fmt: skip


def _half_of(taken: list[dict[str, object]]) -> float:
    """Half of what fastify does at full load; of the slowest where it is missing."""
    speeds: dict[str, list[float]] = {}
    for one in taken:
        speeds.setdefault(str(one["peer"]), []).append(float(str(one["per_s"])))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return medians.get("fastify", min(medians.values())) / 2


if __name__ == "__main__":
    main()
