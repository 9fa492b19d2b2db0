"""Profiles: what people call themselves, and where and when their days begin.

Rules that hold here:

* Every change that changes something counts the version up; ``If-Match`` ties a change to the version it was made for.
* Day settings go to Redis once they are committed (`day_settings`).
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from focushub_core import UNSET, Database, IfMatch, Patch, Routes, Unset, User
from focushub_core.database import Connection, retry_conflicts
from focushub_core.identity.tokens import Rejected
from stack_shared.day import LATEST_START, DaySettings
from stack_shared.zones import ZoneName, zone_named

from .day_settings import DayCache

DisplayName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Locale = Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""A language tag such as ``de`` or ``pt-BR`` (BCP 47)."""
WeekStart = Annotated[int, Meta(ge=1, le=7)]
"""Monday 1 to Sunday 7."""
DayStart = Annotated[int, Meta(ge=0, le=LATEST_START)]
"""Minutes after midnight."""

_INSERT = "INSERT INTO profiles (user_id, display_name, timezone) VALUES ($1, $2, $3)"
_SELECT = """
    SELECT id, email, display_name, timezone, locale, week_start, day_start_minutes, version
    FROM users JOIN profiles ON user_id = id WHERE id = $1
"""
_UPDATE = """
    UPDATE profiles
    SET display_name = $2, timezone = $3, locale = $4, week_start = $5, day_start_minutes = $6, version = version + 1
    WHERE user_id = $1 RETURNING version
"""


class Profile(msgspec.Struct, frozen=True):
    """``GET /v1/me``"""

    id: UUID
    email: str
    display_name: str | None
    timezone: str
    locale: str | None
    week_start: int
    day_start_minutes: int
    version: int

    def day_settings(self) -> DaySettings:
        """When this person's days and weeks begin."""
        return DaySettings(zone_named(self.timezone), self.week_start, self.day_start_minutes)


class ProfileChange(Patch, frozen=True):
    """``PATCH /v1/me``: what is left out stays, ``null`` clears what may be without."""

    display_name: DisplayName | Unset | None = UNSET
    timezone: ZoneName | Unset = UNSET
    locale: Locale | Unset | None = UNSET
    week_start: WeekStart | Unset = UNSET
    day_start_minutes: DayStart | Unset = UNSET


class Profiles:
    """The profiles in ``database``, their day settings written through to ``days``."""

    def __init__(self, database: Database, days: DayCache) -> None:
        self._database = database
        self._days = days

    async def get(self, user_id: UUID) -> Profile:
        """A person's profile; raises `Rejected` when the account is gone."""
        profile = await self._database.one(Profile, _SELECT, user_id)
        if profile is None:
            raise Rejected("no such account")
        await self._days.fill(user_id, profile.day_settings())
        return profile

    @retry_conflicts()
    async def change(self, user_id: UUID, change: ProfileChange, if_match: IfMatch) -> Profile:
        """Applies a change; raises `PreconditionFailed`, and what `get` raises."""
        async with self._database.transaction() as transaction:
            before = await transaction.one(Profile, f"{_SELECT} FOR UPDATE OF profiles", user_id)
            if before is None:
                raise Rejected("no such account")
            if_match.require(before.version)
            after = change.applied_to(before)
            if after != before:
                after = await _stored(transaction, after)
            if after.day_settings() != before.day_settings():
                await self._days.forget(user_id)
        await self._days.publish(user_id)
        return after


async def create(transaction: Connection, user_id: UUID, display_name: str | None, timezone: str) -> None:
    """The profile of a new account; ``timezone`` has been looked at."""
    await transaction.execute(_INSERT, user_id, display_name, timezone)


async def _stored(transaction: Connection, profile: Profile) -> Profile:
    said = (
        profile.display_name,
        profile.timezone,
        profile.locale,
        profile.week_start,
        profile.day_start_minutes,
    )
    version = await transaction.fetchval(_UPDATE, profile.id, *said)
    return msgspec.structs.replace(profile, version=version)


routes = Routes("/v1/me")


@routes.get()
async def read(user: User, profiles: Profiles) -> Profile:
    """Who I am."""
    return await profiles.get(user.id)


@routes.patch()
async def change(body: ProfileChange, user: User, profiles: Profiles, if_match: IfMatch) -> Profile:
    """Changes my profile, or only the version of it that I have seen."""
    return await profiles.change(user.id, body, if_match)
