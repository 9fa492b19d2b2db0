"""Field lines out of their bytes, one by one; those that were read before are known.

Rules that hold here:

* A line is what stands between two CRLF. It is matched as a whole: that refuses bare CR and LF, obs-fold (RFC 9112
  section 5.2), space before the colon, and control bytes.
* Most lines come again and again, from one client and from all. What a line says is remembered by its bytes, all of
  them; how many, and how long ones, is bounded. What is secret, or new each time, is not (`Names.remember`).
"""

from __future__ import annotations

import msgspec

from focushub_core.proxy.http1 import grammar
from focushub_core.proxy.http1.errors import HeadTooLarge, ProtocolError
from focushub_core.proxy.http1.names import Names

Field = tuple[bytes, bytes]

_EXACT = frozenset({b"content-length", b"transfer-encoding"})


class Line(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A field line: what its name means (``b""``: nothing here), that with its value, its name and value, its form."""

    meant: bytes
    known: Field
    field: Field
    written: bytes


class Fields(msgspec.Struct, eq=False):
    """The fields of a head, in order. ``plain`` are those that mean nothing here, as they are written (with CRLF).

    ``known`` are the others, as (what is meant, value); ``meant`` are their names. ``written`` is for who rewrites
    them, ``noted`` for who decides by them, ``texts`` for who needs text, to remember what came of it.
    """

    lines: list[Line]
    plain: list[bytes]
    known: list[Field]
    meant: frozenset[bytes]
    written: tuple[object, bytes, bytes] | None = None
    noted: object = None
    texts: object = None

    def first(self, meant: bytes) -> str | None:
        """The value of the first field of this meaning, as text (Latin-1: every value is one)."""
        for name, value in self.known:
            if name == meant:
                return value.decode("latin-1")
        return None

    def only(self, kept: list[Line]) -> Fields:
        """These of the lines; what the others meant is still ``meant``."""
        fields = _fields(kept)
        fields.meant = self.meant
        return fields

    def and_also(self, written: bytes) -> Fields:
        """With lines that `only` left out, as they are written."""
        lines = [self._rewritten(line) for line in written.splitlines(keepends=True)]
        plain = [line.written for line in lines if not line.meant]
        known = [line.known for line in lines if line.meant]
        return Fields(self.lines + lines, self.plain + plain, self.known + known, self.meant)

    def _rewritten(self, written: bytes) -> Line:
        name, _, value = written.removesuffix(b"\r\n").partition(b": ")
        meant = lower if (lower := name.lower()) in self.meant else b""
        return Line(meant, (meant, value), (name, value), written)

    @property
    def all(self) -> list[Field]:
        """Names, as they were spelled, and values."""
        return [line.field for line in self.lines]


def read_fields(data: bytes, start: int, end: int, names: Names, most: int) -> Fields:
    """The field lines between ``start`` and ``end``, which is behind the last one's CRLF; ``most`` lines."""
    texts = data[start : end - 2].split(b"\r\n") if start < end else []
    if len(texts) > most:
        raise HeadTooLarge(f"more than {most} fields")
    known = names.lines.get
    return _fields([known(text) or _read(text, names) for text in texts])


def _fields(lines: list[Line]) -> Fields:
    plain = [line.written for line in lines if not line.meant]
    others = [line.known for line in lines if line.meant]
    return Fields(lines, plain, others, frozenset([meant for meant, _ in others]))


def _read(text: bytes, names: Names) -> Line:
    match = grammar.FIELD_LINE.fullmatch(text)
    if match is None:
        raise ProtocolError("a field line is not well-formed")
    name, given = match.groups()
    meant, value = names[name], given.rstrip(b" \t")
    if meant in _EXACT and value != given:
        raise ProtocolError("white space behind the value of a framing field")  # well-formed, but not to all
    line = Line(meant, (meant, value), (name, value), b"%b: %b\r\n" % (name, value))
    names.remember(text, line)
    return line
