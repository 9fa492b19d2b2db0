"""The auth service, put together: what it reads from its surroundings, and who gets what."""

from __future__ import annotations

from contextlib import AsyncExitStack

from focushub_core import Check, Database, EntityTags, Secret, Service, ServiceSettings
from focushub_core.errors import FocusHubError
from focushub_core.identity.passwords import Passwords
from focushub_core.settings import Settings
from focushub_core.stack import Stack

from . import accounts, keys, profiles, sessions
from .access_tokens import AccessTokens
from .accounts import Accounts
from .day_settings import DayCache
from .keys import SigningKeys
from .profiles import Profiles
from .sessions import Sessions
from .vault import Vault


class AuthSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the auth service reads beside what every service does."""

    key_secret: Secret
    """``AUTH_KEY_SECRET``: seals the keys in the database. With another one, those that are there cannot be read."""


class AuthService(Service):
    """Accounts, sessions, profiles, and the keys that every service verifies access tokens with."""

    name = "auth-service"
    default_port = 3001
    settings_type = AuthSettings
    settings: AuthSettings
    database: Database = Database(migrations="migrations")
    habits = (EntityTags(),)
    routes = (accounts.routes, sessions.routes, profiles.routes, keys.routes)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        vault = Vault(self.settings.key_secret)
        self.signing_keys = SigningKeys(self.database, vault)
        self._days = DayCache(self.settings.redis_url, self.database)
        access_tokens = AccessTokens(
            self.signing_keys, issuer=self.settings.auth_issuer, audience=self.settings.auth_audience
        )
        self.provide(SigningKeys, self.signing_keys)
        self.provide(Profiles, Profiles(self.database, self._days))
        self.provide(Sessions, Sessions(self.database, vault, access_tokens, self.clock))
        self.provide(Accounts, Accounts(self.database, Passwords(), self._days))

    async def open(self, resources: AsyncExitStack) -> None:
        await super().open(resources)
        if self.settings.redis_url is not None:
            await resources.enter_async_context(self._days)
            self.checks.append(Check("redis", self._days.ping, required=False))

    async def fetch_keys(self) -> bytes:
        """Its own keys, straight from the database: this service verifies without asking itself by HTTP."""
        try:
            return await self.signing_keys.document()
        except FocusHubError as error:
            raise ConnectionError("the keys cannot be read from the database") from error
