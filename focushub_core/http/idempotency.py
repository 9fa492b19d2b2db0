"""``Idempotency-Key``: a POST that is sent again, since its answer was lost, does not act again.

Rules that hold here (draft-ietf-httpapi-idempotency-key-header):

* A key belongs to a person and a route, and is kept for `KEPT`. The same body replays the stored answer with
  ``Idempotency-Replayed: true``; another one is 422; while the first is at work, a second is 409.
* The stored answer is written in the transaction of what the request did: both are there or neither is, whenever the
  process dies. So a handler's effects are those in the service's own database; it makes no other.
* Who is at work holds an advisory lock of that transaction: PostgreSQL gives it back when its holder dies, and it
  counts for every process on that database. And an answer is never stored over one that still counts.
* A key costs no round trips of its own: what is asked about it goes along with BEGIN, and what is kept with COMMIT, as
  calls of functions (`focushub_core/database/kit`). Both are text without parameters, so each value is written in
  hexadecimal digits, in which nothing can have a meaning.
* A request that failed did nothing, and nothing is kept of it: it may be mended and sent again with its key.
* "The same body" is the same JSON, however it is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from aiohttp import web

from focushub_core.database import Connection, Database, UniqueViolation
from focushub_core.errors import BadRequest, ConfigurationError, Conflict, Internal, Invalid
from focushub_core.http.bodies import read_bytes
from focushub_core.http.description import Description
from focushub_core.http.habit import Call, Habit
from focushub_core.http.handlers import VALUES, finished
from focushub_core.http.models import Answer
from focushub_core.identity.user import User

if TYPE_CHECKING:
    from focushub_core.http.handlers import Operation
    from focushub_core.http.routing import Route

FIELD = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
MAX_KEY = 255
"""Characters."""

_KEY = re.compile(rf'"[\x20\x21\x23-\x5b\x5d-\x7e]{{1,{MAX_KEY}}}"|[\x21\x23-\x2b\x2d-\x7e]{{1,{MAX_KEY}}}')
_PATTERN = rf"^[\x21\x23-\x2b\x2d-\x7e]{{1,{MAX_KEY}}}$"
_NOT_KEPT = frozenset({"content-length", "date", "server", "connection", "x-request-id"})

_FIND = """
    SELECT held, fingerprint, status, headers, body
    FROM (SELECT pg_try_advisory_xact_lock($1) AS held) AS lock
    LEFT JOIN focushub.idempotency_keys
        ON user_id = $2 AND route = $3 AND key = $4 AND created_at > now() - $5::interval"""
_KEEP = """
    INSERT INTO focushub.idempotency_keys (user_id, route, key, fingerprint, status, headers, body)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
    ON CONFLICT (user_id, route, key) DO UPDATE
    SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, headers = EXCLUDED.headers,
        body = EXCLUDED.body, created_at = EXCLUDED.created_at
    WHERE idempotency_keys.created_at <= now() - $8::interval"""
_LARGEST = 8192
"""Bytes of an answer that goes along with COMMIT; a larger one goes before it, not twice as long."""
_KEPT = f"interval '{KEPT.total_seconds():.0f} s'"
_KEY_IS_THERE = "idempotency_keys_pkey"
_PURGE = "DELETE FROM focushub.idempotency_keys WHERE created_at <= now() - $1::interval"


class Attempt(msgspec.Struct, frozen=True):
    """One request with a key."""

    user_id: UUID
    route: str
    key: str
    fingerprint: bytes

    @property
    def names(self) -> str:
        """Whose, where and which it is, as SQL."""
        return f"'{self.user_id}', {_text(self.route)}, {_text(self.key)}"

    @property
    def lock(self) -> int:
        """The number of its advisory lock: two keys share one as rarely as 64-bit digests collide."""
        said = f"idempotency\0{self.user_id}\0{self.route}\0{self.key}".encode()
        return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big", signed=True)


class Kept(msgspec.Struct, frozen=True):
    """What was answered."""

    fingerprint: bytes
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def replay(self, attempt: Attempt) -> web.Response:
        """The same answer once more; raises `Invalid` where the request is another one."""
        if self.fingerprint != attempt.fingerprint:
            raise Invalid("This key came with another request before.", code="idempotency_key_reused")
        headers = [*self.headers, (REPLAYED, "true")]
        return web.Response(status=self.status, body=self.body, headers=headers)


def read_key(fields: list[str]) -> str | None:
    """The key in the request's fields, bare or as a quoted string; `BadRequest` where it is none."""
    if not fields:
        return None
    text = fields[0].strip()
    if len(fields) > 1 or not _KEY.fullmatch(text):
        raise BadRequest(
            f"An {FIELD} is 1 to {MAX_KEY} printable ASCII characters.", code="invalid_idempotency_key"
        )
    return text[1:-1] if text.startswith('"') else text


def fingerprint(target: str, raw: bytes) -> bytes:
    """A digest of what is asked: the path with its query, and the body as JSON, or as bytes where it is none."""
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):  # the handler refuses it in a moment
        raw = msgspec.json.encode(msgspec.json.decode(raw), order="deterministic")
    return hashlib.sha256(target.encode() + b"\0" + raw).digest()


class Idempotent(Habit):
    """Each POST of a signed-in person that this is said of takes an `FIELD`. Name it before other habits."""

    def fits(self, operation: Operation) -> bool:
        if operation.route.method != "POST":
            return False
        asked = {provider for *_, provider in operation.signature.provided}
        return operation.providers.get(User) in asked

    def wrap(self, call: Call, operation: Operation) -> Call:
        route, providers = operation.route, operation.providers
        if Database not in providers:
            raise ConfigurationError(f"{route.method} {route.path}: idempotency keys need a database")
        user_of, database_of = providers[User], providers[Database]

        async def once(request: web.Request) -> Any:
            key = read_key(request.headers.getall(FIELD, []))
            if key is None:
                return await call(request)
            user, database = await user_of(request), database_of(request)
            asked = fingerprint(request.rel_url.raw_path_qs, await read_bytes(request))
            attempt = Attempt(user.id, f"{route.method} {route.path}", key, asked)
            lock = attempt.lock
            is_taken = f"SELECT focushub.key_is_taken({lock}, {attempt.names}, {_KEPT})"
            try:
                async with database.unit_of_work(lock=lock, then=is_taken) as connection:
                    if (
                        connection.began != "SELECT 0"
                        and (kept := await _begin(connection, attempt)) is not None
                    ):
                        return kept.replay(attempt)
                    answer = _whole(await call(request), route)
                    await _keep(connection, attempt, answer)
            except UniqueViolation as error:
                if error.constraint == _KEY_IS_THERE:
                    raise _in_use() from None
                raise
            return answer

        return once

    def describe(self, description: Description, operation: Operation) -> None:
        """The fields and the refusals."""
        words = "A name for this request, chosen at random: sent again with it, the request acts only once."
        description.takes_header(FIELD, {"type": "string", "pattern": _PATTERN}, words)
        description.answers_header(REPLAYED, {"const": "true"}, "On an answer that was given before.")
        description.refuses(400, "invalid_idempotency_key")
        description.refuses(409, "idempotency_key_in_use")
        description.refuses(422, "idempotency_key_reused")


async def _begin(connection: Connection, attempt: Attempt) -> Kept | None:
    """What was answered before, else the right to act."""
    row = await connection.fetchrow(_FIND, attempt.lock, attempt.user_id, attempt.route, attempt.key, KEPT)
    if row is None or not row["held"]:
        raise _in_use()
    if row["status"] is None:
        return None
    return Kept(
        row["fingerprint"], row["status"], msgspec.convert(row["headers"], list[tuple[str, str]]), row["body"]
    )


def _whole(result: Any, route: Route) -> Any:
    """What a function returned: an `Answer` that says all, or a response with bytes."""
    if isinstance(result, VALUES) or not isinstance(result, web.StreamResponse):
        status, headers, body = finished(result, route.status)
        return Answer(None if body is None else msgspec.Raw(body), status, headers)
    if not isinstance(result, web.Response) or not isinstance(result.body, bytes | bytearray | None):
        raise Internal(f"{route.method} {route.path}: an answer that is streamed cannot be kept")
    return result


async def _keep(connection: Connection, attempt: Attempt, answer: Any) -> None:
    headers, body = _kept_headers(answer.headers), bytes(answer.body or b"")
    if len(body) <= _LARGEST:
        said = _text(msgspec.json.encode(headers).decode())
        values = f"{_bytes(attempt.fingerprint)}, {answer.status}, {said}::jsonb, {_bytes(body)}"
        connection.parting = f"SELECT focushub.keep_answer({attempt.names}, {values}, {_KEPT})"
        return
    done = await connection.execute(
        _KEEP,
        *(attempt.user_id, attempt.route, attempt.key, attempt.fingerprint),
        *(answer.status, headers, body, KEPT),
    )
    if done == "INSERT 0 0":  # another one ended between our look and our lock
        raise _in_use()


def _in_use() -> Conflict:
    return Conflict(
        "A request with this key is at work.", code="idempotency_key_in_use", headers={"Retry-After": "1"}
    )


def _bytes(value: bytes) -> str:
    return f"decode('{value.hex()}', 'hex')"


def _text(value: str) -> str:
    return f"convert_from({_bytes(value.encode())}, 'UTF8')"


def _kept_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(str(name), value) for name, value in headers.items() if name.lower() not in _NOT_KEPT]


async def purge(database: Database) -> None:
    """Forgets answers that are older than `KEPT`."""
    await database.execute(_PURGE, KEPT)
