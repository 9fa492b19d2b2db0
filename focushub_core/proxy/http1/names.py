"""Which field names mean something to their reader."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from focushub_core.proxy.http1.errors import ProtocolError
from focushub_core.proxy.http1.grammar import TOKEN

if TYPE_CHECKING:
    from focushub_core.proxy.http1.fields import Line
    from focushub_core.proxy.http1.heads import RequestHead

FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})
"""What the reader itself looks at."""

_REMEMBERED = 1024
_LONGEST_NAME = 64
_LINES = 2048
_LONGEST = 160
_LONGEST_HEAD = 2048
LONGEST_LINE = 256
"""Bytes of a first line that is remembered with a head."""
_ONCE = 8192
_HEADS = 8 * 2**20
"""Bytes that all remembered heads hold, by `_held`: a thousand of ten fields."""


def _nothing_else(_: bytes) -> bytes:
    return b""


class Names(dict[bytes, bytes]):
    """A field's name, as it was spelled -> the name that is meant, in lower case, or ``b""`` for nobody's business.

    Beside `FRAMING`, ``known`` says what is meant: it gets the name in lower case. Spellings are remembered, so
    that a name costs one look-up; but not more of them than a thousand, and no long ones, whatever clients make up.
    """

    def __init__(
        self,
        known: Callable[[bytes], bytes] = _nothing_else,
        *,
        fleeting: Collection[bytes] = (),
        aside: bytes = b"",
        gaps: Collection[bytes] | None = None,
    ) -> None:
        super().__init__()
        self._known = known
        self._fleeting = frozenset(fleeting)
        self.aside = b"\r\n%b: " % aside if aside else b""
        """The beginning of the line that is another one in each request, and is set aside (`RequestHead.aside`)."""
        self.gaps = None if gaps is None else frozenset({b"", *gaps})
        """What lines may mean that change from one head to the next (`Memory`): nothing, or what is read elsewhere."""
        self.heads: dict[bytes, RequestHead] = {}
        """Heads that were read before, by all their field lines. They hold tokens: `forget` them now and then."""
        self._held = 0
        self._once: set[int] = set()  # hashes of what came once
        self.lines: dict[bytes, Line] = {}
        """Whole lines that were read before, by their bytes."""

    def remember(self, text: bytes, line: Line) -> None:
        """``text`` was read as ``line``. What is long, or has one of the ``fleeting`` names, is not kept."""
        if len(text) <= _LONGEST and self._came_before(text) and line.field[0].lower() not in self._fleeting:
            if len(self.lines) >= _LINES:
                self.lines.clear()
            self.lines[text] = line

    def remember_head(self, block: bytes, head: RequestHead) -> None:
        """``block`` was read as ``head``. A long one is not kept."""
        if len(block) <= _LONGEST_HEAD and self._came_before(block):
            self._held += _held(block, head)
            if self._held > _HEADS:
                self.forget()
                self._held = _held(block, head)
            self.heads[block] = head

    def forget(self) -> None:
        """Remember no head any more."""
        self.heads.clear()
        self._held = 0

    def _came_before(self, data: bytes) -> bool:
        """Whether it comes at least the second time: what comes once only is not worth its place."""
        known = hash(data)
        if known in self._once:
            return True
        if len(self._once) >= _ONCE:
            self._once.clear()
        self._once.add(known)
        return False

    def __missing__(self, name: bytes) -> bytes:
        if TOKEN.fullmatch(name) is None:
            raise ProtocolError("a field's name is not a token")
        lower = name.lower()
        meant = lower if lower in FRAMING else self._known(lower)
        if len(self) < _REMEMBERED and len(name) <= _LONGEST_NAME:
            self[name] = meant
        return meant


def _held(block: bytes, head: RequestHead) -> int:
    """About what a remembered head holds: its bytes in five forms, an object or six for each line, a first line."""
    return 5 * len(block) + 400 * len(head.fields.lines) + 4 * LONGEST_LINE
