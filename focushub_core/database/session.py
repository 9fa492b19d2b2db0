"""Which statements change a session beyond their transaction, so that it must be reset before its next user.

A RESET on every release costs 30 us; almost no statement needs it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LEADING = re.compile(
    r"\s*(?:(?:SET\b(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b))|RESET\b|LISTEN\b|LOAD\b|PREPARE\b|DECLARE\b|DISCARD\b)",
    re.IGNORECASE,
)
_ANYWHERE = re.compile(
    r"\bpg_(?:try_)?advisory_lock(?:_shared)?\b|\bset_config\b|\bCREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\b"
    r"|\bINTO\s+TEMP(?:ORARY)?\b",
    re.IGNORECASE,
)

SAVEPOINT = "SAVEPOINT unit"
"""Where a unit of work (`focushub_core.database.unit`) goes back to."""
_OWN = ("BEGIN; SELECT pg_try_advisory_xact_lock(", "SELECT focushub.keep_answer(")
"""How scripts of the kit begin that leave nothing behind; each is another, so that none is to be remembered."""


def begin_unit(lock: int | None = None, then: str | None = None) -> str:
    """The beginning of a unit of work, all in one message.

    It tries to take the transaction's advisory ``lock``, before the savepoint: a lock that is taken after one goes
    with it. ``then`` is one more statement.
    """
    take = "" if lock is None else f" SELECT pg_try_advisory_xact_lock({lock:d});"
    return f"BEGIN;{take} {SAVEPOINT}" + (f"; {then}" if then else "")


@lru_cache(maxsize=2048)
def touches_session(sql: str) -> bool:
    """Whether ``sql`` may leave something behind in the session. True too often is only slow."""
    return any(_LEADING.match(part) for part in sql.split(";")) or _ANYWHERE.search(sql) is not None


def script_touches_session(sql: str) -> bool:
    """The same of what may be a script of the kit's own."""
    return not sql.startswith(_OWN) and touches_session(sql)
