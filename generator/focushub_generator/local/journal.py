"""A part's output: read from its pipe, kept in ``.focushub/logs/<part>.log``, passed on to the console.

Rules that hold here:

* A part never waits for us longer than the loop takes to come round: reading is all that happens here, painting is not.
* A file that cannot be written (a full disk) loses lines, and stops nobody.
* At 8 MiB a file becomes ``<part>.log.1`` and the one before is gone.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from focushub_generator.local import lines

LARGEST = 8 * 1024 * 1024
LONGEST = 256 * 1024
TAIL = 30


class LogFile:
    """An append-only file of bounded size, 0600."""

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        """Opens it; raises `OSError` when that is not possible."""
        self._path = path
        self._largest = largest
        self._descriptor = _open(path)
        self._size = os.fstat(self._descriptor).st_size
        self.lost = 0

    def write(self, data: bytes) -> None:
        """Appends whole lines; those that cannot be written are counted in ``lost``."""
        try:
            if self._size and self._size + len(data) > self._largest:
                self._turn_over()
            self._size += os.write(self._descriptor, data)
        except OSError:
            self.lost += data.count(b"\n")

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _turn_over(self) -> None:
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        fresh = _open(self._path)
        os.close(self._descriptor)
        self._descriptor, self._size = fresh, 0


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Journal:
    """One part's pipe and file. ``writer`` is the descriptor that the part gets as its output, life after life."""

    def __init__(self, part: str, folder: Path, show: Callable[[str, bytes], None]) -> None:
        self.part = part
        self.tail: deque[bytes] = deque(maxlen=TAIL)
        self._show = show
        self._file = LogFile(folder / f"{part}.log")
        self._rest = b""
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reader, self._read)

    def note(self, text: str, level: str = "info") -> None:
        """Adds a line of our own: that the part was started again, or given up."""
        self._take([lines.wrap(self.part, text, lines.now(), level)])

    def flush(self) -> None:
        """Takes what is in the pipe, an unfinished line too: its writer has ended."""
        while self._read():
            pass
        if self._rest:
            rest, self._rest = self._rest, b""
            self._take([rest])

    def close(self) -> None:
        """Takes the rest and closes everything."""
        self.flush()
        self._loop.remove_reader(self._reader)
        for descriptor in (self._reader, self.writer):
            os.close(descriptor)
        self._file.close()

    def last_message(self) -> str:
        """The message of the last line."""
        return str((lines.parse(self.tail[-1]) or {}).get("message", "")) if self.tail else ""

    def last_words(self, count: int = 12) -> list[str]:
        """The last lines, for people."""
        found = [lines.parse(raw) or {"message": raw.decode(errors="replace")} for raw in self.tail]
        return [lines.readable(fields) for fields in found][-count:]

    def _read(self) -> bool:
        try:
            data = os.read(self._reader, 65536)
        except BlockingIOError:
            return False
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            whole, self._rest = [*whole, self._rest], b""
        self._take(whole)
        return True

    def _take(self, found: list[bytes]) -> None:
        ts = lines.now()
        kept = [self._as_json(raw, ts) for raw in found if raw.strip()]
        if not kept:
            return
        self._file.write(b"\n".join(kept) + b"\n")
        self.tail.extend(kept)
        for raw in kept:
            self._show(self.part, raw)

    def _as_json(self, raw: bytes, ts: str) -> bytes:
        if raw.startswith(b'{"') and raw.endswith(b"}"):
            return raw
        return lines.wrap(self.part, raw.decode(errors="replace").rstrip(), ts)
