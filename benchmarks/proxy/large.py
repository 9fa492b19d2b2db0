"""100 MB down through a proxy, and what the proxy's process holds."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import peers


def measure(tools: peers.Tools, name: str, peer: peers.Peer, pid: int) -> dict[str, object]:
    """Megabytes a second down, and the most that the process held, in MB."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", peer.port)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received, buffer = 0, bytearray(2**18)
        while count := client.recv_into(buffer):
            received += count
    seconds = time.perf_counter() - started
    return {
        "peer": name,
        "down_mb_s": received / 2**20 / seconds,
        "whole": received > 100 * 2**20,
        "peak_mb": _mb(pid, "VmHWM"),
    }


def resident_mb(pid: int) -> float:
    """What the process holds now."""
    return _mb(pid, "VmRSS")


def _mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024
