"""SQL is written once, with ``$1``: what a driver needs that puts values into the text itself (aiopg on psycopg2).

Rules that hold here:

* Only a ``$1`` that PostgreSQL would take for a parameter is one: not within strings, quoted names, comments or
  dollar-quoted bodies, nor at the end of a name (``a$1``). Every literal ``%`` is doubled, wherever it stands.
* A value becomes a text without a type: PostgreSQL infers the type of an untyped literal from its place as it does
  that of a parameter, so both drivers mean the same by the same SQL.
* What cannot be told from the value is told by the cast: a list is an array, but JSON in ``$1::jsonb``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from focushub_core.errors import Internal

_TOKEN = re.compile(
    r"""(?P<skipped> --[^\n]*
           | /\*.*?\*/
           | \b[eE]'(?:[^'\\]|\\.|'')*'
           | '(?:[^']|'')*'
           | "(?:[^"]|"")*"
           | \$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$
           | [^\W\d][\w$]* )
      | \$(?P<number>\d+)(?P<json>\s*::\s*jsonb?\b(?!\[))?
      | %""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})


class Place(NamedTuple):
    """Where an argument goes: its number, from 0, and whether as JSON."""

    argument: int
    json: bool


class Statement(NamedTuple):
    """A statement with ``%s`` for each of ``places``."""

    text: str
    places: tuple[Place, ...]

    def values(self, args: Sequence[Any]) -> list[str | None]:
        """``args`` as texts, once for each place. Raises Internal for a value that has no text."""
        try:
            return [to_json(args[number]) if json else to_text(args[number]) for number, json in self.places]
        except IndexError:
            raise Internal(f"{len(args)} arguments are too few for {self.text!r}") from None


@lru_cache(maxsize=1024)
def translate(sql: str) -> Statement:
    """``sql`` with ``%s`` for ``$1``, and ``%%`` for ``%``.

    >>> translate("SELECT $2, a % $1, '$1'")
    Statement(text="SELECT %s, a %% %s, '$1'", places=(Place(argument=1, json=False), Place(argument=0, json=False)))
    """
    places: list[Place] = []

    def replaced(found: re.Match[str]) -> str:
        if (number := found["number"]) is not None:
            places.append(Place(int(number) - 1, found["json"] is not None))
            return "%s" + (found["json"] or "")
        text = found[0]
        if text.startswith("/*") and "/*" in text[2:]:
            raise Internal("comments within comments are not read")
        return text.replace("%", "%%")

    return Statement(_TOKEN.sub(replaced, sql), tuple(places))


def to_text(value: Any) -> str | None:
    """What PostgreSQL reads as ``value``, by the type that its place has. Raises Internal where there is nothing."""
    if value is None:
        return None
    for kinds, written in _TEXTS:
        if isinstance(value, kinds):
            return written(value)
    raise Internal(f"a {type(value).__name__} is no value for PostgreSQL")


def to_json(value: Any) -> str | None:
    """``value`` as JSON; None is NULL."""
    return None if value is None else _json(value)


def _element(value: Any) -> str:
    """An element of an array (PostgreSQL's documentation, 8.15.6: quoted, so that nothing in it has a meaning)."""
    if value is None:
        return "NULL"
    text = to_text(value)
    assert text is not None
    return text if isinstance(value, list | tuple) else f'"{text.translate(_QUOTED)}"'


def _interval(value: timedelta) -> str:
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _array(value: Sequence[Any]) -> str:
    return "{" + ",".join(_element(one) for one in value) + "}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_TEXTS: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((str,), str.__str__),  # of an enumeration's member: its text
    ((bool,), lambda value: "true" if value else "false"),
    ((int, float, Decimal, UUID), str),
    ((date, time), lambda value: value.isoformat()),
    ((timedelta,), _interval),
    ((bytes, bytearray, memoryview), lambda value: "\\x" + value.hex()),
    ((list, tuple), _array),
    ((dict, msgspec.Struct), _json),
)
