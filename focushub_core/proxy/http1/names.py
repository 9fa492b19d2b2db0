"""Which field names mean something to their reader."""

from __future__ import annotations

from collections.abc import Callable

from focushub_core.proxy.http1.errors import ProtocolError
from focushub_core.proxy.http1.grammar import TOKEN

FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})
"""What the reader itself looks at."""

_REMEMBERED = 1024


def _nothing_else(_: bytes) -> bytes:
    return b""


class Names(dict[bytes, bytes]):
    """A field's name, as it was spelled -> the name that is meant, in lower case, or ``b""`` for nobody's business.

    Beside `FRAMING`, ``known`` says what is meant: it gets the name in lower case. Spellings are remembered, so
    that a name costs one look-up; but not more of them than a thousand, whatever clients make up.
    """

    def __init__(self, known: Callable[[bytes], bytes] = _nothing_else) -> None:
        super().__init__()
        self._known = known

    def __missing__(self, name: bytes) -> bytes:
        if TOKEN.fullmatch(name) is None:
            raise ProtocolError("a field's name is not a token")
        lower = name.lower()
        meant = lower if lower in FRAMING else self._known(lower)
        if len(self) < _REMEMBERED:
            self[name] = meant
        return meant
