"""A service: an HTTP part with a database of its own, that knows who is asking.

A whole one::

    class Notes(Service):
        name = "notes-service"
        database = Database(migrations="migrations")

        @get("/v1/notes/{note_id}")
        async def read(self, note_id: UUID, user: User, database: Database) -> Note: ...

    if __name__ == "__main__":
        Notes.run()

Settings, logs, request ids, health, problems, metrics, the database's pool, the token's verification and a
graceful stop come with the class; a handler's signature says what it takes (see `focushub_core.http.handlers`).
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

from aiohttp import web

from focushub_core import settings as settings_module
from focushub_core.database import Database, migrate
from focushub_core.database import metrics as pool_metrics
from focushub_core.database.migrations import Source
from focushub_core.database.upkeep import Work, kept_up
from focushub_core.errors import ConfigurationError, FocusHubError
from focushub_core.health import Check
from focushub_core.http import handlers, idempotency, models
from focushub_core.http.conditional import IfMatch
from focushub_core.http.docs import ApiPage
from focushub_core.http.pages import Paging
from focushub_core.http.routing import Route
from focushub_core.http.soft_delete import SoftDelete
from focushub_core.identity.keys import KeySource, download
from focushub_core.identity.user import User
from focushub_core.identity.verifier import Verifier
from focushub_core.ratelimit import Limiter, RateLimits, metrics
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.limits import limits_of, one_meaning_each
from focushub_core.settings import DatabaseUrl, HttpUrl, RedisUrl, Secret, Settings
from focushub_core.stack import Stack
from focushub_core.telemetry.access import QUIET
from focushub_core.telemetry.families import register
from focushub_core.web import WebPart


class ServiceSettings(Settings, frozen=True, kw_only=True):
    """What a service reads; the service ``task`` reads ``TASK_DATABASE_URL`` before ``DATABASE_URL``."""

    database_url: DatabaseUrl | None = None
    """Needed by a service that declares a database."""
    database_driver: Literal["asyncpg", "aiopg"] | None = None
    """Instead of the one that the service declares; aiopg is the extra ``[aiopg]``."""
    auth_jwks_url: HttpUrl | None = None
    """Where the keys are that tokens are verified with; needed by a service with a handler that takes a `User`."""
    auth_issuer: str = "focushub"
    auth_audience: str = "focushub"
    cursor_secret: Secret | None = None
    """Signs the cursors of lists; needed by a service with a handler that takes a `Paging`."""
    redis_url: RedisUrl | None = None
    """Where the limits of handlers (`limit`) are shared; without it each process keeps them alone."""
    trusted_proxies: str = ""
    """Networks whose ``X-Forwarded-For`` is believed by limits that count by address; none by default."""
    docs_page: bool = True
    """Whether there is a page at ``/docs``; the document that it shows is at ``/openapi.json`` in any case."""


class DatabaseSettings(Settings, frozen=True, kw_only=True):
    """All that `Service.migrate` reads."""

    database_url: DatabaseUrl
    database_driver: Literal["asyncpg", "aiopg"] = "asyncpg"


class Service(WebPart):
    """Subclass it, declare, ``run()``."""

    settings_type: ClassVar[type[Settings]] = ServiceSettings
    settings: ServiceSettings
    database: Database | None = None
    """Declared on the class; each service object opens one of its own."""
    soft_deletes: ClassVar[Sequence[SoftDelete]] = ()
    """What it deletes softly, and so has to purge."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self._document: bytes | None = None
        self.verifier = self._verifier()
        self.providers[User] = self.verifier.user_of
        self.providers[IfMatch] = IfMatch.of
        self.provide_pages(Paging)
        self.limits = self._limits()
        if self.database is not None:
            self.database = copy.copy(self.database)
            self.provide(Database, self.database)
            register(partial(pool_metrics.families, self.database), self.metrics.registry)
            self.checks.append(Check("database", self.database.check))

    async def open(self, resources: AsyncExitStack) -> None:
        """Opens the database's pool; PostgreSQL may be away: the service starts, is unhealthy, and recovers.

        Raises ConfigurationError if PostgreSQL is there, and the schema older or newer than this service's code.
        """
        await super().open(resources)
        if self.database is not None and self.settings.database_url is not None:
            resources.push_async_callback(self.database.close)
            await self.database.open(
                self.settings.database_url.reveal(),
                name=self.name,
                driver=self.settings.database_driver,
                schema=self.migrations(),
                tracer=self.traces,
            )
            await self.database.verify()
            await resources.enter_async_context(kept_up(list(self.upkeep())))
        if self.limits is not None:
            resources.push_async_callback(self.limits.limiter.close)

    def middlewares(self) -> Iterable[Any]:
        return () if self.limits is None else (self.limits.middleware,)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get("/openapi.json", self._openapi)
        self.answers_whole(self._openapi)
        if self.settings.docs_page:
            ApiPage(self.name).add_to(app)

    def openapi(self) -> dict[str, Any]:
        """Its OpenAPI 3.1 document, out of its routes' signatures (`focushub_core.http.openapi`)."""
        from focushub_core.http import openapi

        about = openapi.About(self.name, self.version, inspect.getdoc(type(self)) or "")
        return openapi.document(about, self.operations())

    async def _openapi(self, _: web.Request) -> web.Response:
        if self._document is None:
            self._document = models.encode(self.openapi())
        return web.Response(body=self._document, content_type="application/json")

    def provide_pages(self, kind: type[Paging]) -> None:
        """Handlers with a parameter of this type get the page that is asked for; call it in ``__init__``."""
        if self.settings.cursor_secret is not None:
            self.providers[kind] = kind.provider(self.settings.cursor_secret.reveal())

    def upkeep(self) -> Iterator[Work]:
        """What is done to the database now and then: by default, purging."""
        database = self.database
        if database is None:
            return
        habits = chain.from_iterable(route.habits for route in self.all_routes())
        if any(isinstance(habit, idempotency.Idempotent) for habit in habits):
            yield partial(idempotency.purge, database)
        for deletion in self.soft_deletes:
            yield partial(self._purge, deletion, database)

    async def fetch_keys(self) -> bytes:
        """The JWKS document with the keys that tokens are verified with; asked rarely (`identity.keys`)."""
        return await download(str(self.settings.auth_jwks_url))

    def load_settings(self, stack: Stack | None) -> Settings:
        return settings_module.load(
            self.settings_type,
            owner=self.key(),
            root=stack.root if stack else None,
            required=tuple(self._required()),
        )

    def port_in(self, stack: Stack) -> int | None:
        entry = stack.services.get(self.key())
        return entry.port if entry else None

    @classmethod
    def run(cls) -> None:
        """`RoutedPart.run`; as ``python notes.py migrate``, brings the database up to date and ends.

        That is for a service outside of a stack; in one, `focushub up` and `focushub migrate` do it.
        """
        if sys.argv[1:] == ["migrate"]:
            sys.exit(cls.migrate())
        super().run()

    @classmethod
    def migrate(cls) -> int:
        """Applies what is pending to ``DATABASE_URL``'s database, and says so; 1 with one line on failure."""
        try:
            settings = settings_module.load(DatabaseSettings, owner=cls.key())
            url, driver = settings.database_url.reveal(), settings.database_driver
            applied = asyncio.run(migrate(url, cls.migrations() or (), driver=driver))
        except (FocusHubError, OSError) as error:
            said = error if isinstance(error, ConfigurationError) else error.__cause__ or error
            print(f"{cls.name}: {said}", file=sys.stderr)  # noqa: T201 - for whoever typed it
            return 1
        print("\n".join(f"applied {one.file}" for one in applied) or "up to date")  # noqa: T201
        return 0

    @classmethod
    def migrations(cls) -> Source | None:
        """Its migrations: a folder relative to the module of the class that declares them, or texts."""
        declared = cls.database.migrations if cls.database is not None else None
        if declared is None or isinstance(declared, tuple):
            return declared
        declaring = next(kind for kind in cls.__mro__ if "database" in vars(kind))
        return Path(inspect.getfile(declaring)).parent / declared

    async def _purge(self, deletion: SoftDelete, database: Database) -> None:
        await deletion.purge(database, self.clock())

    def _required(self) -> Iterator[str]:
        """Settings that this service cannot do without."""
        if self.database is not None:
            yield "DATABASE_URL"
        own_keys = type(self).fetch_keys is not Service.fetch_keys
        if not own_keys and any(_knows_people(route) for route in self.all_routes()):
            yield "AUTH_JWKS_URL"
        if any(handlers.takes(route, Paging) for route in self.all_routes()):
            yield "CURSOR_SECRET"

    def _limits(self) -> RateLimits | None:
        """The limits that handlers bring along; without any there is no limiter, and Redis is not looked for."""
        policies = [policy for route in self.all_routes() for policy in limits_of(route.function)]
        if not policies:
            return None
        one_meaning_each(policies)
        limiter = Limiter.of(
            redis_url=self.settings.redis_url.reveal() if self.settings.redis_url else None,
            prefix=f"{self.stack.name if self.stack else 'focushub'}:{self.name}:limit:",
        )
        if self.settings.redis_url is not None:
            self.checks.append(Check("redis", limiter.look, required=False))
        register(lambda: metrics.families(limiter), self.metrics.registry)
        self.shown["limits"] = limiter.state
        return RateLimits(
            limiter,
            user=self.verifier.person,
            trusted=parse_networks(self.settings.trusted_proxies),
            exempt=QUIET,
        )

    def _verifier(self) -> Verifier:
        return Verifier(
            KeySource(self.fetch_keys), issuer=self.settings.auth_issuer, audience=self.settings.auth_audience
        )


def _knows_people(route: Route) -> bool:
    limited = any("user" in policy.kinds for policy in limits_of(route.function))
    return limited or handlers.takes(route, User)
