"""Fixtures for the tests of one's own services: the service on a database of its own, and people who are signed in.

A test reads like this::

    async def test_a_note_is_its_writers(serve):
        client = await serve(Notes)
        ann, bob = client.person(), client.person()
        note = (await ann.post("/v1/notes", json={"text": "milk"})).body
        assert (await ann.get(f"/v1/notes/{note['id']}")).status == 200
        assert (await bob.get(f"/v1/notes/{note['id']}")).status == 404
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest_asyncio
from aiohttp import ClientSession, CookieJar
from joserfc.jwk import OKPKey
from uuid_utils.compat import uuid7

from focushub_core.database.migrations import migrate
from focushub_core.direct.server import Server
from focushub_core.identity import tokens
from focushub_core.service import Service
from focushub_core.settings import load

ISSUER = AUDIENCE = "focushub"
DRIVER = os.environ.get("DATABASE_DRIVER", "asyncpg")
"""The driver that services are tested with."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, read whole: ``body`` is parsed JSON, or ``None`` where there is none."""

    status: int
    headers: Any
    body: Any


class TokenMint:
    """Signs access tokens as auth does; `document` is the JWKS that verifies them."""

    def __init__(self) -> None:
        self._key = OKPKey.generate_key("Ed25519", {"kid": "test"}, private=True)

    def document(self) -> bytes:
        """The JWKS document with the public key."""
        return msgspec.json.encode({"keys": [self._key.as_dict(private=False)]})

    def token(self, user_id: UUID, *, lifetime: int = 600, now: float | None = None) -> str:
        """A token for ``user_id`` that ends in ``lifetime`` seconds."""
        moment = int(time.time() if now is None else now)
        claims = tokens.Claims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=user_id,
            sid=uuid7(),
            jti=uuid7(),
            iat=moment,
            nbf=moment,
            exp=moment + lifetime,
        )
        return tokens.sign(claims, self._key)


class Person:
    """Sends requests with one person's token, or with none."""

    def __init__(self, client: ClientSession, token: str | None, user_id: UUID | None = None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.id = user_id

    async def request(self, method: str, path: str, **arguments: Any) -> Reply:
        """Like aiohttp's client: ``json=``, ``params=``, ``headers=``."""
        headers = self._headers | arguments.pop("headers", {})
        async with self._client.request(method, path, headers=headers, **arguments) as response:
            raw = await response.read()
            is_json = response.content_type.endswith("json")
            return Reply(
                response.status, response.headers, msgspec.json.decode(raw) if raw and is_json else None
            )

    async def get(self, path: str, **arguments: Any) -> Reply:
        """`request` with GET."""
        return await self.request("GET", path, **arguments)

    async def post(self, path: str, **arguments: Any) -> Reply:
        """`request` with POST."""
        return await self.request("POST", path, **arguments)

    async def put(self, path: str, **arguments: Any) -> Reply:
        """`request` with PUT."""
        return await self.request("PUT", path, **arguments)

    async def patch(self, path: str, **arguments: Any) -> Reply:
        """`request` with PATCH."""
        return await self.request("PATCH", path, **arguments)

    async def delete(self, path: str, **arguments: Any) -> Reply:
        """`request` with DELETE."""
        return await self.request("DELETE", path, **arguments)


class ServiceClient(Person):
    """Speaks to a running service as nobody; `person` gives somebody who is signed in."""

    def __init__(self, client: ClientSession, mint: TokenMint, service: Service, url: str) -> None:
        super().__init__(client, None)
        self.url = url
        """The origin where the service listens."""
        self.mint = mint
        self.service = service

    def person(self, user_id: UUID | None = None) -> Person:
        """Somebody with a valid token; a new person where no id is given."""
        who = user_id or uuid7()
        return Person(self._client, self.mint.token(who), who)

    def bearer(self, token: str) -> Person:
        """Somebody with this very token."""
        return Person(self._client, token)


Serve = Callable[..., Awaitable[ServiceClient]]


@pytest_asyncio.fixture
async def serve(database_url: str) -> AsyncIterator[Serve]:
    """Starts a service on a fresh, migrated database: ``await serve(Notes)``.

    ``clock`` is the service's clock; further keywords are settings, such as ``DATABASE_URL``.
    """
    async with AsyncExitStack() as running:

        async def start(
            kind: type[Service], *, clock: Callable[[], datetime] | None = None, **environ: str
        ) -> ServiceClient:
            mint = TokenMint()
            service = _build(
                kind, mint, clock, {"DATABASE_URL": database_url, "DATABASE_DRIVER": DRIVER} | environ
            )
            migrations = kind.migrations()
            if migrations is not None:
                await migrate(database_url, migrations, driver=DRIVER)
            server = Server(service)
            running.push_async_callback(server.stop, 0)
            await server.listen()
            url = "http://{}:{}".format(*server.address)
            session = ClientSession(url, cookie_jar=CookieJar(unsafe=True))
            await running.enter_async_context(session)
            return ServiceClient(session, mint, service, url)

        yield start


def _build(
    kind: type[Service], mint: TokenMint, clock: Callable[[], datetime] | None, environ: dict[str, str]
) -> Service:
    """The service as in its tests: by ``clock``, and with keys from ``mint`` unless it makes its own."""
    made_up = {"AUTH_JWKS_URL": "http://127.0.0.1:1/not-asked", "CURSOR_SECRET": "test", "PORT": "0"}
    environ = made_up | environ
    settings = load(kind.settings_type, owner=kind.key(), environ=environ)

    async def fetch_keys(self: Service) -> bytes:
        return mint.document()

    members: dict[str, Any] = {"__module__": kind.__module__}
    if clock is not None:
        members["clock"] = staticmethod(clock)
    if kind.fetch_keys is Service.fetch_keys:
        members["fetch_keys"] = fetch_keys
    tested: type[Service] = type(kind.__name__, (kind,), members)
    return tested(settings)
