"""The journey against the stack that runs here; ``STACK_URL`` says where, if not at http://127.0.0.1:8080."""

from __future__ import annotations

import asyncio
import os
import urllib.error
import urllib.request

import pytest

from .journey import journey

URL = os.environ.get("STACK_URL", "http://127.0.0.1:8080")


def is_running() -> bool:
    """Whether the stack answers and is healthy."""
    try:
        with urllib.request.urlopen(f"{URL}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.skipif(not is_running(), reason=f"no stack answers at {URL}: start it with `focushub up`")
def test_people_find_everything_as_promised() -> None:
    asyncio.run(journey(URL))
