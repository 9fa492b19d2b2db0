"""The usual way in Python: an aiohttp server and its ClientSession, on uvloop, with a log line for each request."""

from __future__ import annotations

import itertools
import json
import sys
import time

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

port, *upstreams = map(int, sys.argv[1:])
turns = itertools.cycle(upstreams)
dropped = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})


async def forward(request: web.Request) -> web.Response:
    started = time.perf_counter()
    fields = [(name, value) for name, value in request.headers.items() if name.lower() not in dropped]
    body = await request.read() if request.body_exists else None
    url = f"http://127.0.0.1:{next(turns)}{request.raw_path}"
    async with request.app[SESSION].request(request.method, url, headers=fields, data=body) as answer:
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in dropped]
        response = web.Response(status=answer.status, body=await answer.read())
        response.headers.extend(kept)
    ms = round((time.perf_counter() - started) * 1000, 1)
    print(json.dumps({"method": request.method, "path": request.path, "status": answer.status, "ms": ms}))  # noqa: T201 - the log
    return response


SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)


async def lifespan(app: web.Application):
    app[SESSION] = ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())
    yield
    await app[SESSION].close()


app = web.Application()
app.router.add_route("*", "/{path:.*}", forward)
app.cleanup_ctx.append(lifespan)
web.run_app(app, host="127.0.0.1", port=port, access_log=None, loop=uvloop.new_event_loop())
