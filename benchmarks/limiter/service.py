"""A `Service` whose handler is limited: ``python service.py PORT REDIS_URL``.

Without log lines and metrics, as its peers.
"""

from __future__ import annotations

import os
import sys

from focushub_core import Service, get, limit
from focushub_core.ratelimit import Policy


class Hello(Service):
    """Says hello."""

    name = "hello-service"
    observed = False

    @get("/hello")
    @limit(Policy("hello", 2_000_000, 60, by="address"))
    async def hello(self) -> dict[str, str]:
        """Hello."""
        return {"hello": "world"}


if __name__ == "__main__":
    os.environ |= {"PORT": sys.argv[1], "REDIS_URL": sys.argv[2], "FOCUSHUB_ENV": "production"}
    sys.argv[1:] = []
    Hello.run()
