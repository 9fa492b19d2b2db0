"""What this stack's gateway has beyond the kit's: day settings for the routes that need them, and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime

from aiohttp import web

from focushub_core import Answer, User, get
from focushub_core.gateway import Gateway
from stack_shared.day import HEADER

from . import dashboard
from .people import People


class FocusHubGateway(Gateway):
    """The door to FocusHub."""

    people: People

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        self.people = People(self.upstreams, self.pool_of["auth"], self.settings.redis_url)
        resources.push_async_callback(self.people.close)

    async def person_fields(self, user: User, authorization: str) -> Mapping[str, str]:
        settings = await self.people.day_settings(user.id, authorization)
        return {HEADER: settings.header()}

    @get("/v1/dashboard/today")
    async def today(
        self, request: web.Request, user: User, date: date | None = None, include: str | None = None
    ) -> Answer[dashboard.Dashboard]:
        """A person's day in one answer: profile, tasks, focus and habits, all of the same date."""
        wanted = dashboard.included(include)
        settings = await self.people.day_settings(user.id, request.headers["Authorization"])
        now = datetime.now(UTC)
        day = date or settings.day_of(now)
        fields = {HEADER: settings.header()}
        found = await self.aggregate(request, dashboard.sections(wanted, day), fields)
        return dashboard.answer(found, day, settings, now)
