"""Our side: ``python ours.py balancer|gateway PORT``.

``STACK`` is the folder of the stack's file, ``JWKS`` the document that tokens are verified with; the rest of the
environment is what the parts read anyway.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
from aiohttp import web

from focushub_core import User, get
from focushub_core.gateway import Gateway, Section
from focushub_core.proxy.loadbalancer import LoadBalancer

SECTIONS = (
    Section("profile", "auth", "/v1/me", required=True),
    Section("tasks", "task", "/v1/tasks/today"),
    Section("focus", "focus", "/v1/focus/summary"),
    Section("habits", "habit", "/v1/habits/today"),
)


class Dashboard(msgspec.Struct, frozen=True):
    """One answer out of four."""

    partial: bool
    sections: dict[str, Any]


class BenchGateway(Gateway):
    """The kit's, with a dashboard, and with keys that are at hand."""

    async def fetch_keys(self) -> bytes:
        return os.environ["JWKS"].encode()

    @get("/v1/dashboard")
    async def dashboard(self, request: web.Request, user: User) -> Dashboard:
        """What four services say."""
        found = await self.aggregate(request, SECTIONS, {})
        return Dashboard(bool(found.missing), found.sections())


if __name__ == "__main__":
    os.environ["PORT"] = sys.argv.pop()
    os.chdir(os.environ["STACK"])
    part = {"balancer": LoadBalancer, "gateway": BenchGateway}[sys.argv.pop()]
    part.run()
