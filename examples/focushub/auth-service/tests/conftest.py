"""The service as its tests see it: on a database of its own, with Ann, who has an account and is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import settings

from auth_service.app import AuthService

if TYPE_CHECKING:  # pytest has to load it first, as a plugin
    from focushub_core.testing import Person, Serve, ServiceClient

pytest_plugins = ["focushub_core.testing"]

settings.register_profile("stack", deadline=None)
settings.load_profile("stack")

SECRET = "a secret for tests, long enough"


@pytest_asyncio.fixture
async def auth(serve: Serve) -> ServiceClient:
    """The service, without Redis."""
    return await serve(AuthService, AUTH_KEY_SECRET=SECRET)


@pytest_asyncio.fixture
async def tokens(auth: ServiceClient) -> dict[str, Any]:
    """What Ann's login gave."""
    ann = {"email": "ann@x.org", "password": "correct staple battery"}
    assert (await auth.post("/v1/auth/register", json=ann | {"display_name": "Ann"})).status == 202
    reply = await auth.post("/v1/auth/login", json=ann)
    assert reply.status == 200
    body: dict[str, Any] = reply.body
    return body


@pytest.fixture
def ann(auth: ServiceClient, tokens: dict[str, Any]) -> Person:
    """Ann, sending her access token."""
    return auth.bearer(tokens["access_token"])
