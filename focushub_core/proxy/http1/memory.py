"""A connection's last head, by which the next one is known.

Rules that hold here:

* Who sends many messages on one connection mostly sends the same head again, to the byte; what the same bytes mean
  does not have to be found out again. Nothing else is assumed: one byte differs, and all is read.
* Some lines are other ones each time: an ``ETag``, what is left of a limit. Two heads in a row that differ only in the
  values of lines that mean nothing to their reader, or what `Names.gaps` says, show where such values stand: `Gaps`.
  The next head is known if all around the gaps is the same to the byte, and if what fills them is a value, no more.
* ``Content-Length`` may be such a line, too; what fills it has to be a length.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

H = TypeVar("H")

MOST_GAPS = 4
_PATIENCE = 8
_REST = 64
"""How often it is tried in a row to find gaps, and how often not, after that."""

# RFC 9110 section 5.5: a field value, here without obs-text and tabs: certainly one, and nothing around it
_VALUE = re.compile(rb"[!-~]++(?: ++[!-~]++)*+")
# as it is written: of ``011`` only the number would be left
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,14}+")


class Memory(Generic[H]):
    """``head`` was read from ``text``; where ``gaps`` were found, it is what all heads have that fill them.

    ``last`` was read from ``raw``, as it came but for the line that was set aside. It may be empty.
    """

    __slots__ = ("_patience", "gaps", "head", "last", "raw", "text")

    def __init__(self) -> None:
        self.head: H | None = None
        self.text = b""
        self.gaps: Gaps | None = None
        self.last: H | None = None
        self.raw = b""
        self._patience = _PATIENCE

    def keep(self, text: bytes, head: H, gaps: Gaps | None = None) -> None:
        """``text`` was read as ``head``."""
        self.text, self.head, self.gaps, self.raw = text, head, gaps, b""
        if gaps is not None:
            self._patience = _PATIENCE

    def differing(self, text: bytes) -> list[int]:
        """The numbers of the lines in which ``text`` differs from the last one, if they are few.

        Else none, and none where that was asked in vain too often: now and then only it is tried again.
        """
        self._patience -= 1
        if self._patience < 0:
            if self._patience < -_REST:
                self._patience = 1
            return []
        lines, others = text.split(b"\r\n"), self.text.split(b"\r\n")
        if len(lines) != len(others):
            return []
        found = [number for number, line in enumerate(lines) if line != others[number]]
        return found if len(found) <= MOST_GAPS else []


class Gaps:
    """Where heads differ: ``pieces`` are lines' names, and all that stands before their values; ``rest`` is behind."""

    __slots__ = ("_pieces", "_rest")

    def __init__(self, pieces: list[tuple[bytes, bytes]], rest: bytes) -> None:
        self._pieces = [
            (piece, len(piece), b"" if name.lower() == b"content-length" else b"%b: " % name)
            for name, piece in pieces
        ]
        self._rest = rest

    def filled(self, text: bytes) -> tuple[bytes, int] | None:
        """The lines that fill the gaps in ``text``, as they are written, and what ``Content-Length`` says in one.

        That is -1 where it is none of the lines. None: it is another head.
        """
        at, filled, length = 0, b"", -1
        for piece, size, start in self._pieces:
            if not text.startswith(piece, at):
                return None
            at += size
            end = text.find(b"\r\n", at)
            value = text[at:end]
            at = end
            if start:
                if _VALUE.fullmatch(value) is None:
                    return None
                filled = b"%b%b%b\r\n" % (filled, start, value)
            elif _LENGTH.fullmatch(value) is None:
                return None
            else:
                length = int(value)
        return (filled, length) if text[at:] == self._rest else None


def gaps_at(text: bytes, numbers: list[int]) -> Gaps | None:
    """The gaps in ``text``, at the values of the lines of these numbers; None where one is not just a value."""
    lines = text.split(b"\r\n")
    begin, pieces = 0, []
    for number in numbers:
        name, _, given = lines[number].partition(b":")
        value = given.lstrip(b" \t")
        if _VALUE.fullmatch(value) is None:
            return None
        end = sum(len(line) + 2 for line in lines[: number + 1]) - 2
        pieces.append((name, text[begin : end - len(value)]))
        begin = end
    return Gaps(pieces, text[begin:])
