"""Deleting that can be undone: a deleted row is hidden, can be brought back for 30 days, and is then purged.

Rules that hold here:

* A table has the columns ``id, user_id, deleted_at timestamptz, deleted_with uuid`` and, where ``versioned``,
  ``version``; who reads it asks for ``deleted_at IS NULL``.
* What is deleted with its parent (``deleted_with`` names that) comes back with it; what was deleted alone before stays
  deleted.
* A parent's row is locked before its children's, here as in what puts a child under it.
* Every statement names the person: another's row is one that is not there.

A service names its soft deletions, so that they are purged: ``soft_deletes = (PROJECTS, TASKS)``.
"""

# ruff: noqa: S608 - the names of tables and columns come from code

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from focushub_core.database import Connection, Database, retry_conflicts
from focushub_core.errors import Conflict, FocusHubError
from focushub_core.http.conditional import IfMatch

RESTORABLE = timedelta(days=30)

_ANY = IfMatch()
_BATCH = 1000


class SoftDelete:
    """The deletion of rows of ``table``.

    ``children`` and ``parents`` are other such tables, by name, with the column that refers: children's in their own
    table, a parent's in this one. ``missing`` makes the error for a row that is not there. Names go into SQL as they
    are: they come from code.
    """

    def __init__(
        self,
        table: str,
        *,
        missing: Callable[[], FocusHubError],
        children: Mapping[str, str] = {},
        parents: Mapping[str, str] = {},
        versioned: bool = True,
    ) -> None:
        self._table, self._missing = table, missing
        self._children, self._parents = children, parents
        self._versioned = versioned
        self._bump = ", version = version + 1" if versioned else ""

    @retry_conflicts()
    async def delete(
        self, database: Database, user_id: UUID, row_id: UUID, now: datetime, if_match: IfMatch = _ANY
    ) -> None:
        """Hides the row and its children; raises what ``missing`` makes, or `PreconditionFailed`."""
        async with database.transaction() as connection:
            version = "version" if self._versioned else "0"
            found = await connection.fetchrow(
                f"SELECT {version} FROM {self._table}"
                " WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE",
                *(user_id, row_id),
            )
            if found is None:
                raise self._missing()
            if_match.require(found[0])
            for table, column in ((self._table, "id"), *self._children.items()):
                await connection.execute(
                    f"UPDATE {table} SET deleted_at = $3, deleted_with = $2{self._bump}"
                    f" WHERE user_id = $1 AND {column} = $2 AND deleted_at IS NULL",
                    *(user_id, row_id, now),
                )

    @retry_conflicts()
    async def restore(self, database: Database, user_id: UUID, row_id: UUID, now: datetime) -> None:
        """Brings the row back, and what was deleted with it; one that is not deleted stays as it is.

        Raises what ``missing`` makes, also when `RESTORABLE` is over, or `Conflict` (``parent_deleted``).
        """
        async with database.transaction() as connection:
            await self._require_parents(connection, user_id, row_id)
            found = await connection.fetchrow(
                f"SELECT deleted_at FROM {self._table}"
                " WHERE user_id = $1 AND id = $2 AND (deleted_at IS NULL OR deleted_at > $3) FOR UPDATE",
                *(user_id, row_id, now - RESTORABLE),
            )
            if found is None:
                raise self._missing()
            if found["deleted_at"] is None:
                return
            for table, condition in ((self._table, "id"), *((t, "deleted_with") for t in self._children)):
                await connection.execute(
                    f"UPDATE {table} SET deleted_at = NULL, deleted_with = NULL{self._bump}"
                    f" WHERE user_id = $1 AND {condition} = $2 AND deleted_at IS NOT NULL",
                    *(user_id, row_id),
                )

    async def purge(self, database: Database, now: datetime) -> int:
        """Removes for good what can no longer be brought back, children first; how many rows of ``table`` it were."""
        for table in self._children:
            await _purge(database, table, "", now)
        blocked = "".join(
            f" AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.user_id = r.user_id AND c.{column} = r.id)"
            for table, column in self._children.items()
        )
        return await _purge(database, self._table, blocked, now)

    async def _require_parents(self, connection: Connection, user_id: UUID, row_id: UUID) -> None:
        for table, column in self._parents.items():
            found = await connection.fetchrow(
                f"SELECT p.deleted_at FROM {self._table} r JOIN {table} p ON p.id = r.{column}"
                " WHERE r.user_id = $1 AND r.id = $2 FOR SHARE OF p",
                *(user_id, row_id),
            )
            if found is not None and found[0] is not None:
                raise Conflict("What this belongs to is deleted; restore that first.", code="parent_deleted")


async def _purge(database: Database, table: str, condition: str, now: datetime) -> int:
    """In batches, passing over rows that somebody is at: each is a short transaction."""
    total, count = 0, _BATCH
    while count == _BATCH:
        done = await database.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} r WHERE deleted_at <= $1{condition}"
            f" ORDER BY deleted_at LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)",
            now - RESTORABLE,
        )
        count = int(done.split()[-1])
        total += count
    return total
