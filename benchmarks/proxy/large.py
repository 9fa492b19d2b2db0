"""100 MB down and up through a proxy, and what that costs its process."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import peers
from harness import cpu_seconds

MEGABYTES = 100
_PIECE = bytes(2**18)


def measure(name: str, peer: peers.Peer, pid: int) -> dict[str, object]:
    """Megabytes a second each way, the CPU that each took, and the most that the process ever held, in MB."""
    before = cpu_seconds(pid)
    down = _down(peer.port)
    between = cpu_seconds(pid)
    up = _up(peer.port)
    return {
        "peer": name,
        "down_mb_s": MEGABYTES / down,
        "up_mb_s": MEGABYTES / up,
        "down_cpu_ms": (between - before) * 1000,
        "up_cpu_ms": (cpu_seconds(pid) - between) * 1000,
        "peak_mb": _mb(pid, "VmHWM"),
    }


def resident_mb(pid: int) -> float:
    """What the process holds now."""
    return _mb(pid, "VmRSS")


def _down(port: int) -> float:
    """Seconds."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received, buffer = 0, bytearray(2**18)
        while count := client.recv_into(buffer):
            received += count
    if received < MEGABYTES * 2**20:
        raise SystemExit(f"only {received} bytes came down")
    return time.perf_counter() - started


def _up(port: int) -> float:
    """Seconds until the answer, which comes when all has arrived."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        client.sendall(head % (MEGABYTES * 2**20))
        for _ in range(MEGABYTES * 2**20 // len(_PIECE)):
            client.sendall(_PIECE)
        answer = client.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"what went up was answered {answer!r}")
    return time.perf_counter() - started


def _mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024
