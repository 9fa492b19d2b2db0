"""One PostgreSQL database per service: a fair pool, errors mapped once, migrations, roles.

Rules that hold here:

* Nothing waits without a deadline, also when PostgreSQL is frozen: not for a connection, a query or a cancellation.
* Waiters for a connection are served first in, first out.
* No name of the driver leaves this package: rows are `Record`, failures are of `focushub_core.errors`.
* Importing this loads no driver; opening a `Database` does.
"""

from __future__ import annotations

from focushub_core.database.conflicts import retry_conflicts
from focushub_core.database.database import Connection, Database, Queries
from focushub_core.database.driver import Record
from focushub_core.database.errors import (
    CheckViolation,
    ExclusionViolation,
    InvalidValue,
    MissingValue,
    ReferenceViolation,
    TransactionConflict,
    UniqueViolation,
)
from focushub_core.database.migrations import Migration, MigrationState, discover, migrate, status
from focushub_core.database.provision import drop, provision
from focushub_core.database.schema import SchemaMismatch

__all__ = [
    "CheckViolation",
    "Connection",
    "Database",
    "ExclusionViolation",
    "InvalidValue",
    "Migration",
    "MigrationState",
    "MissingValue",
    "Queries",
    "Record",
    "ReferenceViolation",
    "SchemaMismatch",
    "TransactionConflict",
    "UniqueViolation",
    "discover",
    "drop",
    "migrate",
    "provision",
    "retry_conflicts",
    "status",
]
