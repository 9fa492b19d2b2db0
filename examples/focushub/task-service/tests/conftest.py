"""The service on a PostgreSQL of its own, and people to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from hypothesis import settings

from task_service.service import TaskService

if TYPE_CHECKING:  # pytest loads the plugin itself
    from focushub_core.testing import Serve, ServiceClient

pytest_plugins = ["focushub_core.testing"]

settings.register_profile("stack", deadline=None)
settings.load_profile("stack")


@pytest_asyncio.fixture
async def service(serve: Serve) -> ServiceClient:
    """The task service, running."""
    return await serve(TaskService)
