"""The service on a database of its own, at a time of the test's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:  # pytest loads the plugin itself
    from focushub_core.testing import FakeClock, Serve, ServiceClient

pytest_plugins = ["focushub_core.testing"]


@pytest_asyncio.fixture
async def service(serve: Serve, clock: FakeClock) -> ServiceClient:
    """The service, running."""
    from sample_service.service import SampleService

    return await serve(SampleService, clock=clock)
