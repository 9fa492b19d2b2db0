"""Sessions as they are stored.

Rules that hold here:

* A person's changes happen one after another (an advisory lock for the length of the transaction), and the tables
  refuse what must not be, should anything ever pass by that lock.
* Whoever looks finds no session that should have ended: its end is written before it is read.
* Every statement names the person: another's session is one that is not there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import Clock, Database, Instant, NotFound
from focushub_core.database import Connection, Record, retry_conflicts

from .timer import Segment, Status, Timer

Kind = Literal["pomodoro", "countdown", "flow"]

_COLUMNS = """
    SELECT id, kind, task_id, tags, status, planned_s, started_at, ended_at,
           ARRAY(SELECT g.started_at FROM segments g WHERE g.session_id = s.id ORDER BY g.started_at) AS starts,
           ARRAY(SELECT g.ended_at FROM segments g WHERE g.session_id = s.id ORDER BY g.started_at) AS ends
    FROM sessions s"""
_OPEN = f"{_COLUMNS} WHERE user_id = $1 AND status IN ('running', 'paused')"
_ONE = f"{_COLUMNS} WHERE user_id = $1 AND id = $2"
_SOME = f"""{_COLUMNS}
    WHERE user_id = $1
      AND ($2::timestamptz IS NULL OR started_at >= $2)
      AND ($3::timestamptz IS NULL OR started_at < $3)
      AND ($4::text IS NULL OR status = $4)
      AND ($5::timestamptz IS NULL OR (started_at, id) < ($5, $6::uuid))
    ORDER BY started_at DESC, id DESC
    LIMIT $7"""
_INSERT = """
    INSERT INTO sessions (id, user_id, kind, status, task_id, tags, planned_s, started_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
_UPDATE = "UPDATE sessions SET status = $3, ended_at = $4 WHERE user_id = $1 AND id = $2"
_DELETE_SEGMENTS = (
    "DELETE FROM segments WHERE user_id = $1 AND session_id = $2 AND started_at = ANY($3::timestamptz[])"
)
_INSERT_SEGMENTS = """
    INSERT INTO segments (user_id, session_id, started_at, ended_at)
    SELECT $1, $2, started_at, ended_at FROM unnest($3::timestamptz[], $4::timestamptz[]) AS g (started_at, ended_at)"""


class Place(NamedTuple):
    """Where a session stands in the list."""

    started_at: datetime
    id: UUID


class Session(msgspec.Struct, frozen=True):
    """A session: what it is about, and its course."""

    id: UUID
    kind: Kind
    task_id: UUID | None
    tags: list[str]
    timer: Timer


class Filter(msgspec.Struct, frozen=True):
    """Which sessions of a person are listed: those that started in ``[from, to)`` and are in ``status``."""

    from_: Instant | None = None
    to: Instant | None = None
    status: Status | None = None


class Changes:
    """One person's sessions within a transaction, while nobody else changes them. ``open`` is the open session."""

    def __init__(self, connection: Connection, user_id: UUID, now: datetime) -> None:
        self._connection, self._user_id, self.now = connection, user_id, now
        self.open: Session | None = None

    async def begin(self) -> None:
        """Waits for the person's other changes, then ends what should have ended."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(self._user_id)
        )
        session = _session(await self._connection.fetchrow(_OPEN, self._user_id))
        if session is not None:
            session = await self.write(session, session.timer.settle(self.now))
        self.open = session if session is None or session.timer.status != "finished" else None

    async def one(self, session_id: UUID) -> Session:
        """The session with this id; `NotFound`."""
        return _found(_session(await self._connection.fetchrow(_ONE, self._user_id, session_id)))

    async def add(self, kind: Kind, timer: Timer, *, task_id: UUID | None, tags: list[str]) -> Session:
        """A new session."""
        session = Session(uuid7(), kind, task_id, tags, timer)
        row = (
            session.id,
            self._user_id,
            kind,
            timer.status,
            task_id,
            tags,
            timer.planned_s,
            timer.started_at,
        )
        await self._connection.execute(_INSERT, *row)
        await self._insert_segments(session.id, list(timer.segments))
        return session

    async def write(self, session: Session, timer: Timer) -> Session:
        """The session with another course, of which what differs is written."""
        before, after = session.timer, timer
        if before == after:
            return session
        await self._connection.execute(_UPDATE, self._user_id, session.id, after.status, after.ended_at)
        gone = [segment.started_at for segment in before.segments if segment not in after.segments]
        await self._connection.execute(_DELETE_SEGMENTS, self._user_id, session.id, gone)
        await self._insert_segments(session.id, [one for one in after.segments if one not in before.segments])
        return msgspec.structs.replace(session, timer=after)

    async def _insert_segments(self, session_id: UUID, segments: list[Segment]) -> None:
        starts, ends = [one.started_at for one in segments], [one.ended_at for one in segments]
        await self._connection.execute(_INSERT_SEGMENTS, self._user_id, session_id, starts, ends)


class Sessions:
    """The sessions of all people; ``clock`` says what time it is."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self.clock = database, clock

    @asynccontextmanager
    async def changes(self, user_id: UUID) -> AsyncIterator[Changes]:
        """A transaction in which the person's sessions may be changed."""
        async with self._database.transaction() as connection:
            changes = Changes(connection, user_id, self.clock())
            await changes.begin()
            yield changes

    @retry_conflicts()
    async def open(self, user_id: UUID) -> Session | None:
        """The person's open session, after ending it if its time is up."""
        session = _session(await self._database.fetchrow(_OPEN, user_id))
        if session is None or session.timer.settle(self.clock()) is session.timer:
            return session
        async with self.changes(user_id) as changes:
            return changes.open

    async def one(self, user_id: UUID, session_id: UUID) -> Session:
        """The session with this id; `NotFound`."""
        await self.open(user_id)
        return _found(_session(await self._database.fetchrow(_ONE, user_id, session_id)))

    async def some(self, user_id: UUID, wanted: Filter, after: Place | None, limit: int) -> list[Session]:
        """At most ``limit`` sessions, the latest first, from behind the place ``after``."""
        await self.open(user_id)
        place = after or (None, None)
        rows = await self._database.fetch(
            _SOME, user_id, wanted.from_, wanted.to, wanted.status, *place, limit
        )
        return [_session_of(row) for row in rows]


def _found(session: Session | None) -> Session:
    if session is None:
        raise NotFound("There is no such session.")
    return session


def _session(row: Record | None) -> Session | None:
    return None if row is None else _session_of(row)


def _session_of(row: Record) -> Session:
    segments = tuple(Segment(start, end) for start, end in zip(row["starts"], row["ends"], strict=True))
    timer = Timer(row["status"], row["started_at"], segments, row["ended_at"], row["planned_s"])
    return Session(row["id"], row["kind"], row["task_id"], row["tags"], timer)
