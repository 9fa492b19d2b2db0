"""What a statement does, in a few words for a trace: ``SELECT tasks labels``.

Rules that hold here:

* Words are commands and names of tables, and nothing else: no literal, no parameter, no column's name is ever among
  them. (OpenTelemetry's ``db.query.summary``.)
* A statement's text is the same every time it is asked, so its summary is made once.
"""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 255
"""Characters; what is longer is cut between two words."""

_PASSED_OVER = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/                                  # comments
    | \$(\w*)\$.*?\$\1\$                                  # texts between dollars
    | [eE]?'(?:[^'\\]|''|\\.)*'                           # texts
    | \b(?:extract|substring|trim|overlay)\s*\([^()]*\)   # calls with a FROM of their own
    | \bIS\s+(?:NOT\s+)?DISTINCT\s+FROM\b
    | \bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b | \bDO\s+UPDATE\b | \bON\s+(?:UPDATE|DELETE)\b
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_NAME = r'(?:[a-z_][\w$]*|"[^"]+")'
_TABLE = rf"(?P<{{}}>{_NAME}(?:\.{_NAME})?(?![\w$.]))"
_COMMON = re.compile(rf"({_NAME})\s*(?:\([^()]*\)\s*)?AS\s+(?:(?:NOT\s+)?MATERIALIZED\s+)?\(", re.IGNORECASE)
_SAID = re.compile(
    rf"\bUPDATE\s+(?:ONLY\s+)?{_TABLE.format('updated')}"
    r"|\b(?P<command>SELECT|INSERT|DELETE|MERGE)\b"
    rf"|\bINTO\s+{_TABLE.format('filled')}"
    rf"|\b(?:FROM|JOIN|USING)\s+(?:ONLY\s+|LATERAL\s+)?{_TABLE.format('read')}(?!\s*\()",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\s*([a-z]+)", re.IGNORECASE)


@lru_cache(maxsize=2048)
def summary(sql: str) -> str:
    """The commands of ``sql`` in their order, each before its tables; of another statement its first word.

    >>> summary("WITH late AS (SELECT id FROM tasks WHERE due < 'now') INSERT INTO notes SELECT id FROM late")
    'SELECT tasks INSERT notes SELECT'
    """
    bare = _PASSED_OVER.sub(" ", sql)
    common = {name.lower() for name in _COMMON.findall(bare)}
    words: list[str] = []
    for found in _SAID.finditer(bare):
        if found["command"] or found["updated"]:
            words.append((found["command"] or "UPDATE").upper())
        table = found["updated"] or found["filled"] or found["read"]
        if table and table.lower() not in common and words[-1:] != [table]:
            words.append(table)
    return _cut(words) if words else _first_word(bare)


def _first_word(bare: str) -> str:
    first = _FIRST.match(bare)
    return first[1].upper() if first else "QUERY"


def _cut(words: list[str]) -> str:
    said = words[0]
    for word in words[1:]:
        if len(said) + 1 + len(word) > LONGEST:
            break
        said += f" {word}"
    return said
