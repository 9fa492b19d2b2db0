"""A database's pool for Prometheus: is anybody waiting for a connection?"""

from __future__ import annotations

from collections.abc import Iterator

from focushub_core.database.database import Database
from focushub_core.telemetry.families import Family


def families(database: Database) -> Iterator[Family]:
    """The pool of ``database`` at this moment; while that is closed, nothing is shown."""
    status = database.status
    if status is None:
        return
    states = {
        "idle": status.idle,
        "opening": status.opening,
        "busy": status.size - status.idle - status.opening,
    }
    connections = [({"state": state}, number) for state, number in states.items()]
    yield Family("gauge", "database_connections", "Of the pool, by state.", connections)
    yield Family("gauge", "database_connections_max", "What the pool may open.", [({}, status.max_size)])
    yield Family("gauge", "database_waiters", "Requests without a connection.", [({}, status.waiting)])
