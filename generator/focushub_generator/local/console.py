"""What `up` prints. A thread of its own writes, so that a terminal that does not read stops nobody.

Rules that hold here:

* What `say` gets is always written; of the parts' lines those are left out that a slow terminal has no time for
  (the log files have them all), and the console says how many.
* When nobody reads any more (a closed pipe) it goes quiet and the stack runs on.
* No terminal, or ``NO_COLOR``: plain text.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from focushub_generator.local import lines

BACKLOG = 2000
INFO, WARNING = 20, 30
LEAST = {"postgres": WARNING, "redis": WARNING, "setup": INFO}
"""Parts whose least level is always the same."""


class Console:
    """Lines for people, in order; `close` waits for the last one, but not for ever."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="replace")
        self.level = WARNING
        """The least level of a part's line that is shown; the whole log only begins when all is up."""
        self._waiting: deque[str | tuple[str, bytes]] = deque()
        self._parts_waiting = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._closing = False
        self._colours: Mapping[str, int] = {}
        self._width = 14
        self.colourful = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._writer = threading.Thread(target=self._run, name="console", daemon=True)
        self._writer.start()

    def name_parts(self, names: Sequence[str]) -> None:
        """Gives each part its colour, and the column its width."""
        self._colours = {name: lines.colour_of(number) for number, name in enumerate(names)}
        self._width = max(map(len, names), default=14)

    def say(self, text: str = "") -> None:
        """Writes a line of `up` itself."""
        with self._changed:
            self._waiting.append(text)
            self._changed.notify()

    def show(self, part: str, raw: bytes) -> None:
        """Writes a part's log line, if there is time for it."""
        with self._changed:
            if self._parts_waiting >= BACKLOG:
                self._dropped += 1
                return
            self._parts_waiting += 1
            self._waiting.append((part, raw))
            self._changed.notify()

    def close(self, patience: float = 2.0) -> None:
        """Writes what is left, for at most ``patience`` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join(patience)

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._stream.write("".join(self._text(item) for item in batch))
                self._stream.flush()
            except (OSError, ValueError):
                self._go_quiet()

    def _go_quiet(self) -> None:
        """Nobody reads: what is buffered and all that follows goes nowhere, at the interpreter's end, too."""
        with suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)

    def _next(self) -> list[str | tuple[str, bytes]]:
        """What waits, at most a screenful; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), 50))]
            self._parts_waiting -= sum(isinstance(item, tuple) for item in batch)
            if self._dropped and self._parts_waiting < BACKLOG // 2:
                batch.append(f"... {self._dropped} lines not shown; `focushub logs` has them")
                self._dropped = 0
            return batch

    def _text(self, item: str | tuple[str, bytes]) -> str:
        if isinstance(item, str):
            return item + "\n"
        part, raw = item
        fields = lines.parse(raw)
        if fields is None:
            return ""
        if lines.severity(fields) < LEAST.get(part, self.level):
            return ""
        fields = {**fields, "part": part}
        colour = self._colours.get(part, 37) if self.colourful else None
        return lines.readable(fields, width=self._width, colour=colour) + "\n"


def table(rows: Sequence[Sequence[str]], *, bold_head: bool = False) -> list[str]:
    """Rows as aligned lines, the first one the head; columns of numbers stand to the right."""
    columns = [_aligned(column) for column in zip(*rows, strict=True)]
    drawn = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    if bold_head:
        drawn[0] = f"\x1b[1m{drawn[0]}\x1b[0m"
    return drawn


def _aligned(column: Sequence[str]) -> list[str]:
    width, said = max(map(len, column)), {*column[1:]} - {"-"}
    if said and all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", cell) for cell in said):
        return [cell.rjust(width) for cell in column]
    return [cell.ljust(width) for cell in column]
