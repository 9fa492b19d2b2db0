"""``/v1/focus/sessions``: starting, pausing, resuming and finishing sessions, and looking at them."""

from __future__ import annotations

from uuid import UUID

from focushub_core import Answer, Conflict, Instant, Limit, Page, Pager, Routes, User

from .models import Current, Finish, NewSession, SessionView, view, view_current
from .sessions import Filter, Place, Sessions
from .timer import Status, Timer, checked_end

routes = Routes("/v1/focus/sessions")


class SessionPager(Pager[Place]):
    """Cursors of the list of sessions."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret, "focus-sessions", Place)


@routes.post(status=201)
async def start(body: NewSession, user: User, sessions: Sessions) -> Answer[SessionView]:
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
    return Answer(view(session, now), headers={"Location": f"/v1/focus/sessions/{session.id}"})


@routes.get()
async def list_sessions(
    user: User,
    sessions: Sessions,
    pager: SessionPager,
    *,
    from_: Instant | None = None,
    to: Instant | None = None,
    status: Status | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Page[SessionView]:
    """Sessions that started from ``from`` on and before ``to``, the latest first."""
    wanted = Filter(from_, to, status)
    found = await sessions.some(user.id, wanted, pager.decode(cursor), limit + 1)
    page = pager.page(found, limit, lambda session: (session.timer.started_at, session.id))
    now = sessions.clock()
    return Page([view(session, now) for session in page.items], page.next_cursor)


@routes.get("/current")
async def current(user: User, sessions: Sessions) -> Current:
    """The open session."""
    return view_current(await sessions.open(user.id), sessions.clock())


@routes.get("/{session_id}")
async def read(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """One session."""
    return view(await sessions.one(user.id, session_id), sessions.clock())


@routes.post("/{session_id}/pause")
async def pause(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """Stops the clock of a running session."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        return view(await changes.write(session, session.timer.pause(changes.now)), changes.now)


@routes.post("/{session_id}/resume")
async def resume(session_id: UUID, user: User, sessions: Sessions) -> SessionView:
    """Lets the clock of a paused session run again."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        return view(await changes.write(session, session.timer.resume(changes.now)), changes.now)


@routes.post("/{session_id}/finish")
async def finish(session_id: UUID, user: User, sessions: Sessions, body: Finish = Finish()) -> SessionView:  # noqa: B008
    """Ends a session now, or when it really ended; one that has ended stays as it is."""
    async with sessions.changes(user.id) as changes:
        session = await changes.one(session_id)
        timer, now = session.timer, changes.now
        if timer.status != "finished":
            end = timer.moment(now) if body.ended_at is None else checked_end(timer, body.ended_at, now)
            session = await changes.write(session, timer.finish(end))
        return view(session, now)
