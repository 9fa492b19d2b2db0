"""``/v1/focus/sessions``: starting, pausing, resuming and finishing sessions, and looking at them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from focushub_core import Conflict, Invalid, NotFound, Page, Paging, Query, Routes, User
from focushub_core.database import retry_conflicts

from .models import Current, Finish, NewSession, SessionView, view, view_current
from .sessions import Filter, Place, Sessions
from .timer import Timer, checked_end

routes = Routes("/v1/focus/sessions")


@routes.post(status=201, raises=[Conflict(code="session_active")])
@retry_conflicts()
async def start(body: NewSession, user: User, sessions: Sessions) -> SessionView:
    """Starts a session; with ``on_conflict: stop`` the open one ends at the moment at which this one starts."""
    planned_s, tags = body.plan(), list(dict.fromkeys(body.tags))
    async with sessions.changes(user.id) as changes:
        now = changes.now
        if changes.open is not None:
            if body.on_conflict == "error":
                current = view(changes.open, now)
                raise Conflict("Another session is open.", code="session_active", current=current)
            now = changes.open.timer.moment(now)
            await changes.write(changes.open, changes.open.timer.finish(now))
        session = await changes.add(body.kind, Timer.start(now, planned_s), task_id=body.task_id, tags=tags)
    return view(session, now)


@routes.get()
async def list_sessions(
    user: User, sessions: Sessions, wanted: Annotated[Filter, Query()], page: Paging
) -> Page[SessionView]:
    """Sessions that started from ``from`` on and before ``to``, the latest first."""
    found = await sessions.some(user.id, wanted, page.after(Place), page.fetch)
    listed = page.of(found, lambda session: Place(session.timer.started_at, session.id))
    now = sessions.clock()
    return Page([view(session, now) for session in listed.items], listed.next_cursor)


@routes.get("/current")
async def current(user: User, sessions: Sessions) -> Current:
    """The open session."""
    return view_current(await sessions.open(user.id), sessions.clock())


@routes.get("/{session_id}", raises=[NotFound])
async def read(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """One session."""
    return view(await sessions.one(user.id, session_id), sessions.clock())


@routes.post("/{session_id}/pause", raises=[NotFound, Conflict(code="not_running")])
@retry_conflicts()
async def pause(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """Stops the clock of a running session."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        return view(await changes.write(session, session.timer.pause(changes.now)), changes.now)


@routes.post("/{session_id}/resume", raises=[NotFound, Conflict(code="not_paused")])
@retry_conflicts()
async def resume(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """Lets the clock of a paused session run again."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        return view(await changes.write(session, session.timer.resume(changes.now)), changes.now)


@routes.post(
    "/{session_id}/finish",
    raises=[NotFound, Invalid(code="end_not_after_start"), Invalid(code="in_future")],
)
@retry_conflicts()
async def finish(session_id: UUID, user: User, sessions: Sessions, body: Finish = Finish()) -> SessionView:  # noqa: B008
    """Ends a session now, or when it really ended; one that has ended stays as it is."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        timer, now = session.timer, changes.now
        if timer.status != "finished":
            end = timer.moment(now) if body.ended_at is None else checked_end(timer, body.ended_at, now)
            session = await changes.write(session, timer.finish(end))
        return view(session, now)
