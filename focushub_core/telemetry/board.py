"""The metrics of several processes that share one port, told as one.

Rules that hold here:

* Whoever is asked answers for all: the kernel chooses the worker, and Prometheus must not see another one each time.
* No counter ever falls, for that would be taken for a restart: a worker leaves its numbers on the board each second
  and whenever it is asked, and who takes its place after its death goes on from there.
* Counters and histograms are added up, and so is what there is of something; what says yes or no has rules of its own.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable

EVERY_S = 1.0
"""How often a worker leaves its numbers."""
SIZE = 128 * 1024
"""Bytes that one worker may leave."""

_HEAD = struct.Struct("<II")  # which edition, how long: read and written at once
_PLACE = 4096 + 2 * SIZE
_RULES: dict[str, Callable[[float, float], float]] = {
    "dependency_up": min,
    "upstream_up": min,
    "part_draining": max,
    "process_start_time_seconds": max,  # so that it changes when one starts again
}


class Board:
    """Memory that ``count`` workers share. Made before they are, by the process that starts them."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * _PLACE)
        self._count = count

    def put(self, number: int, text: bytes) -> None:
        """Leaves what worker ``number`` (from 0) has to say; what is too long is left out."""
        if len(text) > SIZE:
            return
        start = number * _PLACE
        edition = _HEAD.unpack_from(self._memory, start)[0] + 1
        self._memory[(at := _text_at(start, edition)) : at + len(text)] = text
        self._memory[start : start + _HEAD.size] = _HEAD.pack(edition & 0xFFFFFFFF, len(text))

    def get(self, number: int) -> bytes:
        """What it left; empty before the first time."""
        start = number * _PLACE
        while True:
            head = edition, length = _HEAD.unpack_from(self._memory, start)
            text = self._memory[(at := _text_at(start, edition)) : at + length]
            if head == _HEAD.unpack_from(self._memory, start):
                return text

    def others(self, number: int) -> list[bytes]:
        """What all but ``number`` left."""
        return [self.get(other) for other in range(self._count) if other != number]


class Seat:
    """One worker's place at the board."""

    def __init__(self, board: Board, number: int) -> None:
        self._board, self._number = board, number
        self._before = counted(board.get(number))

    def leave(self, text: bytes) -> bytes:
        """Leaves ``text``, this worker's metrics, and gives it with what its predecessors had counted."""
        own = together([self._before, text])
        self._board.put(self._number, own)
        return own

    def together(self, text: bytes) -> bytes:
        """``text`` with the metrics of all workers."""
        return together([self.leave(text), *self._board.others(self._number)])


def together(texts: Iterable[bytes]) -> bytes:
    """Several processes' metrics as one's, in Prometheus' text format."""
    said: dict[str, list[str]] = {}
    values: dict[str, dict[str, float]] = {}
    for text in texts:
        family = ""
        for line in text.decode().splitlines():
            if line.startswith("#"):
                _, kind, family, _ = line.split(" ", 3)
                lines = said.setdefault(family, [])
                if not any(known.startswith(f"# {kind} ") for known in lines):
                    lines.append(line)
                continue
            sample, _, value = line.rpartition(" ")
            samples = values.setdefault(family, {})
            rule = _RULES.get(family, float.__add__)
            samples[sample] = rule(samples[sample], float(value)) if sample in samples else float(value)
    lines = [
        line
        for family, known in said.items()
        for line in (*known, *(f"{sample} {value}" for sample, value in values.get(family, {}).items()))
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def counted(text: bytes) -> bytes:
    """The counters and histograms of ``text``: what stays true of a process that is gone."""
    kept: list[str] = []
    family: list[str] = []
    for line in [*text.decode().splitlines(), "# HELP end end"]:
        if line.startswith("# HELP "):
            if any(
                said.endswith((" counter", " histogram")) for said in family if said.startswith("# TYPE ")
            ):
                kept += family
            family = []
        family.append(line)
    return "".join(f"{line}\n" for line in kept).encode()


def _text_at(start: int, edition: int) -> int:
    """Editions lie in two places by turns, so that who reads one is not written over."""
    return start + 4096 + (edition & 1) * SIZE
