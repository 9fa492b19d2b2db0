"""What the routes of sessions take and answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from focushub_core import Body, FieldError, Instant, Wrong

from .sessions import Kind, Session
from .timer import MAX_SESSION_S, Segment, Status, Timer

POMODORO_S = 1500
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]


class NewSession(Body, frozen=True):
    """What a session is to be. A pomodoro lasts 25 minutes where nothing is said; a flow session has no plan."""

    kind: Kind = "pomodoro"
    planned_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_SESSION_S)] | None = None
    task_id: UUID | None = None
    tags: Annotated[list[Tag], msgspec.Meta(max_length=20)] = []
    on_conflict: Literal["error", "stop"] = "error"

    def __post_init__(self) -> None:
        if self.kind == "flow" and self.planned_s is not None:
            raise Wrong(FieldError("planned_s", "not_allowed", "A flow session has no planned length."))
        if self.kind == "countdown" and self.planned_s is None:
            raise Wrong(FieldError("planned_s", "missing", "A countdown needs its length."))

    def plan(self) -> int | None:
        """The seconds of focus that are planned."""
        return POMODORO_S if self.kind == "pomodoro" and self.planned_s is None else self.planned_s


class Finish(Body, frozen=True):
    """When the session ended, where that was not just now."""

    ended_at: Instant | None = None


class SessionView(msgspec.Struct, frozen=True):
    """A session as it is answered; lengths are whole seconds, those of an open session until now."""

    id: UUID
    kind: Kind
    status: Status
    task_id: UUID | None
    tags: Sequence[str]
    planned_s: int | None
    started_at: datetime
    ended_at: datetime | None
    focused_s: int
    paused_s: int
    segments: Sequence[Segment]


class Current(msgspec.Struct, frozen=True):
    """The open session, if there is one, and what a clock on a screen needs to run by itself."""

    server_time: datetime
    session: SessionView | None = None
    elapsed_s: int | None = None
    focused_s: int | None = None
    remaining_s: int | None = None
    planned_end_at: datetime | None = None


def view(session: Session, now: datetime) -> SessionView:
    """``session`` as it is answered at ``now``."""
    timer = session.timer
    focused_s, elapsed_s = _seconds(timer, now)
    return SessionView(
        session.id,
        session.kind,
        timer.status,
        session.task_id,
        session.tags,
        timer.planned_s,
        timer.started_at,
        timer.ended_at,
        focused_s,
        elapsed_s - focused_s,
        timer.segments,
    )


def view_current(session: Session | None, now: datetime) -> Current:
    """The open session, or that there is none, as it is answered at ``now``."""
    if session is None:
        return Current(now)
    timer = session.timer
    focused_s, elapsed_s = _seconds(timer, now)
    remaining_s = None if timer.planned_s is None else max(0, timer.planned_s - focused_s)
    return Current(now, view(session, now), elapsed_s, focused_s, remaining_s, timer.planned_end())


def _seconds(timer: Timer, now: datetime) -> tuple[int, int]:
    return int(timer.focused(now).total_seconds()), int(timer.elapsed(now).total_seconds())
