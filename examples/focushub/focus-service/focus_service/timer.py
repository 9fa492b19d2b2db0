"""How a focus session runs: a pure state machine, in which time is an argument.

Rules that hold here:

* A session's time of focus is that of its segments: they follow one another, none is empty, and only the last one of
  a running session is open.
* Durations are differences of instants, so no clock change makes a session longer or shorter.
* Nothing depends on a client that stays: a running session ends by itself when its plan is fulfilled, and one without
  a plan after `MAX_SESSION_S` of focus, whenever somebody asks next.
* Time does not run backwards within a session, though the clocks of two processes differ a little: a change "before"
  the last one happens at its moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from focushub_core import Conflict, FieldError, Invalid

Status = Literal["running", "paused", "finished"]

MAX_SESSION_S = 28_800
"""Seconds of focus after which a session without a plan ends."""
CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far a client's clock may be ahead of ours."""


class Segment(msgspec.Struct, frozen=True):
    """A stretch of focus without a pause; the open one has no end."""

    started_at: datetime
    ended_at: datetime | None = None


class Timer(msgspec.Struct, frozen=True):
    """A session's course. Changes give a new timer; they raise `Conflict` where the session is in another state."""

    status: Status
    started_at: datetime
    segments: tuple[Segment, ...]
    ended_at: datetime | None = None
    planned_s: int | None = None

    @classmethod
    def start(cls, now: datetime, planned_s: int | None) -> Timer:
        """Runs from ``now``, for ``planned_s`` seconds of focus where there is a plan."""
        return cls("running", now, (Segment(now),), planned_s=planned_s)

    # What it says ---------------------------------------------------------------------------------------------

    def focused(self, now: datetime) -> timedelta:
        """The time of focus until ``now``."""
        lengths = (
            (segment.ended_at or max(now, segment.started_at)) - segment.started_at
            for segment in self.segments
        )
        return sum(lengths, timedelta())

    def elapsed(self, now: datetime) -> timedelta:
        """The time from the start until the end, or until ``now``, pauses included."""
        return (self.ended_at or max(now, self.started_at)) - self.started_at

    def planned_end(self) -> datetime | None:
        """When the plan is fulfilled if there is no pause any more; ``None`` without a plan or while not running."""
        return None if self.planned_s is None else self._when_focused(self.planned_s)

    def ends_by_itself_at(self) -> datetime | None:
        """When it ends though nobody says so; ``None`` while it does not run."""
        return self._when_focused(MAX_SESSION_S if self.planned_s is None else self.planned_s)

    def _when_focused(self, seconds: int) -> datetime | None:
        if self.status != "running":
            return None
        started = self.segments[-1].started_at
        return started + timedelta(seconds=seconds) - self.focused(started)

    # What happens to it ---------------------------------------------------------------------------------------

    def settle(self, now: datetime) -> Timer:
        """Finished at its own end where that has passed, else as it is."""
        end = self.ends_by_itself_at()
        return self.finish(end) if end is not None and end <= now else self

    def pause(self, now: datetime) -> Timer:
        """Stops the clock; ``not_running``."""
        if self.status != "running":
            raise Conflict("This session is not running.", code="not_running")
        return msgspec.structs.replace(self, status="paused", segments=self._until(self.moment(now)))

    def resume(self, now: datetime) -> Timer:
        """Lets the clock run again; ``not_paused``."""
        if self.status != "paused":
            raise Conflict("This session is not paused.", code="not_paused")
        segments = (*self.segments, Segment(self.moment(now)))
        return msgspec.structs.replace(self, status="running", segments=segments)

    def finish(self, at: datetime) -> Timer:
        """Ends at ``at``: focus after it does not count. A finished one stays as it is."""
        if self.status == "finished":
            return self
        at = max(at, self.started_at)
        return msgspec.structs.replace(self, status="finished", ended_at=at, segments=self._until(at))

    def moment(self, now: datetime) -> datetime:
        """``now``, but not before what happened last."""
        return max(
            now, self.started_at, *(segment.ended_at or segment.started_at for segment in self.segments)
        )

    def _until(self, end: datetime) -> tuple[Segment, ...]:
        return tuple(_cut(self.segments, end))


def _cut(segments: tuple[Segment, ...], end: datetime) -> Iterator[Segment]:
    """What of the segments lies before ``end``."""
    for segment in segments:
        if segment.started_at < end:
            yield Segment(segment.started_at, min(segment.ended_at or end, end))


def checked_end(timer: Timer, ended_at: datetime, now: datetime) -> datetime:
    """The end that a client names for a session, never later than ``now``.

    Raises `Invalid` with ``end_not_after_start``, or with ``in_future`` where its clock is ahead of ours by more than
    `CLOCK_TOLERANCE`.
    """
    if ended_at <= timer.started_at:
        raise _wrong_end("end_not_after_start", "The end is not after the start.")
    if ended_at > now + CLOCK_TOLERANCE:
        raise _wrong_end("in_future", "The end is in the future.")
    return min(ended_at.astimezone(UTC), now)


def _wrong_end(code: str, detail: str) -> Invalid:
    return Invalid(detail, code=code, errors=[FieldError("ended_at", code, detail)])
