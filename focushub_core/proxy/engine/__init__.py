"""The proxy's engine: asyncio protocols on both sides of one exchange after another."""

from __future__ import annotations

from focushub_core.proxy.engine.answers import Answer
from focushub_core.proxy.engine.engine import Engine
from focushub_core.proxy.engine.limits import KEPT, Timeouts
from focushub_core.proxy.engine.route import Asked, Handler, Route, Router

__all__ = ["KEPT", "Answer", "Asked", "Engine", "Handler", "Route", "Router", "Timeouts"]
