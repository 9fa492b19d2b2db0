"""A service that kills itself where a test says so: ``python mortal.py``, with its keys in ``JWKS``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler
from uuid_utils.compat import uuid7

from focushub_core import Body, Database, Service, User, post
from focushub_core.http.idempotency import Idempotent

SCHEMA = "CREATE TABLE payments (id uuid PRIMARY KEY, user_id uuid NOT NULL, amount int NOT NULL)"


class NewPayment(Body, frozen=True):
    amount: int


class Mortal(Service):
    """Takes payments; dies ``before`` the answer, or in the ``midst`` of the work, by the field ``X-Die``."""

    name = "mortal-service"
    database: Database = Database(migrations=(SCHEMA,), max_size=4)
    habits = (Idempotent(),)

    @post("/v1/payments", status=201)
    async def pay(self, body: NewPayment, user: User, request: web.Request) -> dict[str, UUID]:
        payment = uuid7()
        await self.database.execute("INSERT INTO payments VALUES ($1, $2, $3)", payment, user.id, body.amount)
        if request.headers.get("X-Die") == "midst":
            die()
        return {"id": payment}

    def middlewares(self) -> Iterable[Any]:
        return (die_before_the_answer,)

    async def fetch_keys(self) -> bytes:
        return os.environ["JWKS"].encode()


@web.middleware
async def die_before_the_answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if request.headers.get("X-Die") == "before":
        die()
    return response


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Mortal.run()
