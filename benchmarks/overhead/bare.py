"""The endpoint in bare aiohttp: ``python bare.py PORT``, with ``DATABASE_URL``."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import uvloop
from aiohttp import web
from note import SQL, Note, pool

DATABASE = pool()


async def read(request: web.Request) -> web.Response:
    note = await DATABASE.one(Note, SQL, UUID(request.match_info["note_id"]))
    if note is None:
        raise web.HTTPNotFound
    return web.Response(body=msgspec.json.encode(note), content_type="application/json")


async def database(app: web.Application) -> AsyncIterator[None]:
    await DATABASE.open(os.environ["DATABASE_URL"])
    yield
    await DATABASE.close()


if __name__ == "__main__":
    app = web.Application()
    app.cleanup_ctx.append(database)
    app.router.add_get("/v1/notes/{note_id}", read)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
