"""A plain aiohttp application whose handler is limited: ``python plain.py PORT REDIS_URL``."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web

from focushub_core import limit
from focushub_core.ratelimit import Limiter, Policy, RateLimits


@limit(Policy("hello", 2_000_000, 60, by="address"))
async def hello(request: web.Request) -> web.Response:
    return web.Response(body=b'{"hello":"world"}', content_type="application/json")


def main() -> None:
    app = web.Application()
    app.router.add_get("/hello", hello)
    RateLimits(Limiter.of(redis_url=sys.argv[2])).install(app)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


main()
