"""How long the balancer takes to start, and what it holds then: from its command to its first answer."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import large
from harness import SERVER_CORE, cpu_seconds, free_port, pin

TIMES = 10
ROOT = Path(__file__).parents[2]
PART = ROOT / "examples/focushub/load-balancer"
_ASKED = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Way(NamedTuple):
    """A way to start it."""

    name: str
    argv: Sequence[str]
    folder: Path = ROOT
    environ: Mapping[str, str] = {}


def ways(port: int) -> list[Way]:
    """As people start it: by the command that is installed, and as a part of a stack."""
    upstreams = "http://127.0.0.1:3000,http://127.0.0.1:3100"
    words = ["balance", "--listen", f"127.0.0.1:{port}", "--log-format", "json"]
    for url in upstreams.split(","):
        words += ["--upstream", url.removeprefix("http://")]
    part = {"PORT": str(port), "GATEWAY_URLS": upstreams, "PYTHONPATH": str(PART.parent / "shared")}
    return [
        Way("focushub balance", [str(Path(sys.executable).with_name("focushub")), *words]),
        Way("python -m load_balancer", [sys.executable, "-m", "load_balancer"], PART, part),
    ]


def measure() -> list[dict[str, object]]:
    """Each way in turns: milliseconds until it answered, of CPU in these, and megabytes that it holds then."""
    port = free_port()
    rows = [(way.name, _once(way, port)) for _ in range(TIMES) for way in ways(port)]
    return [
        {"start": name, "ms": ms, "cpu_ms": cpu_ms, "resident_mb": resident}
        for name, (ms, cpu_ms, resident) in rows
    ]


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """As lines of Markdown."""
    lines = []
    for name in dict.fromkeys(row["start"] for row in rows):
        mine = [row for row in rows if row["start"] == name]
        ms, cpu_ms, resident = (
            [float(str(row[key])) for row in mine] for key in ("ms", "cpu_ms", "resident_mb")
        )
        lines.append(
            f"- `{name}` answers {statistics.median(ms):.0f} ms ({min(ms):.0f} to {max(ms):.0f}) after it was started, "
            f"of which {statistics.median(cpu_ms):.0f} ms ({min(cpu_ms):.0f} to {max(cpu_ms):.0f}) are its CPU, "
            f"and holds {max(resident):.1f} MB at rest."
        )
    return lines


def _once(way: Way, port: int) -> tuple[float, float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        way.argv, cwd=way.folder, env=os.environ | dict(way.environ), stdout=subprocess.DEVNULL
    )
    try:
        pin(SERVER_CORE, process.pid)
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - started > 20:
                raise SystemExit(f"{way.name} did not start")
            time.sleep(0.001)
        ms = (time.perf_counter() - started) * 1000
        return ms, cpu_seconds(process.pid) * 1000, large.resident_mb(process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(_ASKED)
            return client.recv(4096).startswith(b"HTTP/1.1 200")
    except ConnectionRefusedError:
        return False


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(measure())) + "\n")
