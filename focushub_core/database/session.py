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
_UNIT = re.compile(rf"BEGIN; SELECT pg_try_advisory_xact_lock\(-?\d+\); {SAVEPOINT}")


def begin_unit(lock: int | None = None) -> str:
    """The beginning of a unit of work, all in one round trip; it tries to take the transaction's advisory ``lock``."""
    return (
        f"BEGIN; SELECT pg_try_advisory_xact_lock({lock:d}); {SAVEPOINT}"
        if lock is not None
        else f"BEGIN; {SAVEPOINT}"
    )


def touches_session(sql: str) -> bool:
    """Whether ``sql`` may leave something behind in the session. True too often is only slow."""
    return (
        _touches(sql) if _UNIT.fullmatch(sql) is None else False
    )  # each of these differs, and is not remembered


@lru_cache(maxsize=2048)
def _touches(sql: str) -> bool:
    return any(_LEADING.match(part) for part in sql.split(";")) or _ANYWHERE.search(sql) is not None
