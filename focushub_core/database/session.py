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


@lru_cache(maxsize=2048)
def touches_session(sql: str) -> bool:
    """Whether ``sql`` may leave something behind in the session. True too often is only slow."""
    return any(_LEADING.match(part) for part in sql.split(";")) or _ANYWHERE.search(sql) is not None
