"""Servers side by side in one run: alternating rounds, pinned cores, CPU per request, ratios with their spread.

Rules that hold here:

* All contenders run at once and answer in turn, and the order turns, too: what changes in the machine changes for all.
* Server and load generator have a core each, where there are two; what both need (a database) shares the load's.
* CPU per request is what the server's process and its threads used (user and system), divided by its answers.
* A ratio is taken within a round and reported as the median of all rounds, with the least and the largest.
* A contender must answer the same status and bytes as the first one; raw rounds are kept.
"""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

LOAD = Path(__file__).parent / "limiter" / "load.py"
SERVER_CORE, LOAD_CORE = 0, 1

Round = dict[str, Any]


class Contender(NamedTuple):
    """A server: ``command`` gets its port as the last argument."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = {}


def pin(core: int, pid: int = 0) -> None:
    """Keeps a process on one core, where the system can and has more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def compare(
    contenders: Sequence[Contender],
    path: str,
    *,
    rounds: int,
    seconds: float,
    connections: int,
    headers: Mapping[str, str] | None = None,
) -> list[Round]:
    """Runs the contenders against each other; the raw rounds, each with ``name``, ``cpu_us``, ``p50_ms``, ..."""
    with ExitStack() as stack:
        servers = {each.name: stack.enter_context(running(each)) for each in contenders}
        _require_same_answers(servers, path, headers or {})
        found = []
        for number in range(-1, rounds):  # the first round warms up
            turn = max(number, 0) % len(servers)
            for name, (pid, port) in [*servers.items()][turn:] + [*servers.items()][:turn]:
                row = measure(pid, port, path, seconds if number >= 0 else 1.0, connections)
                if number >= 0:  # the rounds begin with the first contender's turn
                    found.append({"round": number, "name": name, **row})
    return found


def ratios(found: Sequence[Round], key: str, of: str, to: str) -> tuple[float, float, float]:
    """The median, the least and the largest of ``of`` / ``to`` within a round."""
    by_round: dict[int, dict[str, float]] = {}
    for row in found:
        by_round.setdefault(row["round"], {})[row["name"]] = row[key]
    each = [row[of] / row[to] for row in by_round.values()]
    return statistics.median(each), min(each), max(each)


def table(found: Sequence[Round]) -> str:
    """Medians by contender, as a Markdown table; the first contender is what the others are compared with."""
    names = list(dict.fromkeys(row["name"] for row in sorted(found, key=lambda row: row["round"])))
    lines = [
        "| | CPU per request | against the first (min to max) | requests/s | p50 | p99 |",
        "|---" * 6 + "|",
    ]
    for name in names:
        rows = [row for row in found if row["name"] == name]
        cpu, rate, p50, p99 = (
            statistics.median(row[key] for row in rows)
            for key in ("cpu_us", "per_second", "p50_ms", "p99_ms")
        )
        median, least, most = ratios(found, "cpu_us", name, names[0])
        cells = [name, f"{cpu:.1f} us", f"{median:.3f} ({least:.3f} to {most:.3f})", f"{rate:.0f}"]
        lines.append(f"| {' | '.join([*cells, f'{p50:.2f} ms', f'{p99:.2f} ms'])} |")
    return "\n".join(lines)


def machine() -> str:
    """What it ran on."""
    cpu = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.*)$", info.read_text("utf-8"), re.MULTILINE)
        cpu = found[1] if found else ""
    return f"{os.cpu_count()} cores {cpu}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def keep(file: Path, found: Sequence[Round], **about: Any) -> None:
    """Writes the raw rounds."""
    file.write_text(json.dumps({"machine": machine(), **about, "rounds": found}, indent=1) + "\n", "utf-8")


def free_port() -> int:
    """One below the ephemeral ones, which connections take."""
    for port in range(18000, 32000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise SystemExit("no free port")


@contextmanager
def running(contender: Contender) -> Iterator[tuple[int, int]]:
    """The server on its core, once it takes connections; its process id and port."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        [*contender.command, str(port)], env=os.environ | dict(contender.environ), stdout=subprocess.DEVNULL
    )
    try:
        pin(SERVER_CORE, process.pid)
        deadline = time.monotonic() + 20
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{contender.name} did not start")
            time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _require_same_answers(
    servers: Mapping[str, tuple[int, int]], path: str, headers: Mapping[str, str]
) -> None:
    answers = {}
    for name, (_, port) in servers.items():
        request = Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers))
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            answers[name] = (answer.status, answer.read())
    first = next(iter(answers.values()))
    for name, said in answers.items():
        if said != first:
            raise SystemExit(f"{name} answers something else: {said} instead of {first}")


def measure(pid: int, port: int, path: str, seconds: float, connections: int) -> Round:
    """What a server answered in ``seconds``, and the CPU that it took for each request."""
    before = cpu_seconds(pid)
    ran = subprocess.run(  # noqa: S603
        [sys.executable, str(LOAD), "127.0.0.1", str(port), str(connections), str(seconds), path],
        preexec_fn=lambda: pin(LOAD_CORE),
        capture_output=True,
        text=True,
        check=True,
    )
    row: Round = json.loads(ran.stdout)
    row["cpu_us"] = (cpu_seconds(pid) - before) / row["requests"] * 1e6
    if row["failed"]:
        raise SystemExit(f"{row['failed']} of {row['requests']} answers were not 200")
    return row


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far; in nanoseconds where Linux counts so."""
    tasks = Path(f"/proc/{pid}/task")
    if tasks.exists():
        return sum(int(file.read_text().split()[0]) for file in tasks.glob("*/schedstat")) / 1e9
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
