"""One client's own connections: a request out, its answer back, and a look at whether that was meant for this client.

Rules that hold here:

* Every request has an id of its own, and its answer must not bear another one's; the mark of a thing says which client
  made it. So an answer that was meant for somebody else is noticed.
* Nothing is raised for what the other end does: an answer that does not come whole is an attempt with status 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from focushub_generator.local.verify.ledger import Attempt
from focushub_generator.local.verify.survey import KEY_FIELD

DEADLINE_S = 10.0
AGAIN_S = 0.1
"""Before something is sent again where the answer does not say when."""
REQUEST_ID, PARTIAL = "X-Request-Id", "X-Partial"


@dataclass(frozen=True)
class Request:
    """What is sent, and the ``service`` behind it; ``template`` is the path as the report names it.

    ``resent``: who forwards it may send it again.
    """

    method: str
    path: str
    service: str | None = None
    template: str = ""
    body: object = None
    key: str | None = None
    resent: bool = False


@dataclass(frozen=True)
class Reply:
    """An answer, read whole; ``body`` is its JSON, ``retry_after`` the seconds it asks to wait.

    ``lacks`` names the parts that are missing in an answer that is made of several services'.
    """

    attempt: Attempt
    body: Any = None
    retry_after: float = AGAIN_S
    lacks: str = ""

    @property
    def done(self) -> bool:
        """Whether it is what was wanted."""
        return 200 <= self.attempt.status < 300


class Wire:
    """Client ``number`` of the run ``run``; ``clock`` gives the load's seconds. Made inside a running loop."""

    def __init__(self, url: str, run: str, number: int, clock: Callable[[], float]) -> None:
        self.token: str | None = None
        self.astray: list[str] = []
        """Answers, or things in them, that were another client's."""
        self._run = f"verify-{run}-"
        self._name = f"{self._run}{number}"
        self._number = number
        self._clock = clock
        self._requests = 0
        self._marks = re.compile(rf"verify-{run}-(\d+)-\d+")
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        self._session = aiohttp.ClientSession(url, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()

    async def exchange(self, request: Request) -> Reply:
        """Sends a request, once."""
        self._requests += 1
        request_id = f"{self._name}-r{self._requests}"  # of a form that the kit takes up and answers
        status, raw, why = 0, b"", ""
        fields: Mapping[str, str] = {}
        started = self._clock()
        try:
            async with self._session.request(
                request.method, request.path, json=request.body, headers=self._fields(request, request_id)
            ) as answer:
                raw = await answer.read()
                status, fields = answer.status, answer.headers  # whose names' case counts for nothing
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = f"no whole answer: {error or type(error).__name__}"
        ended = self._clock()
        body = _json(raw)
        is_problem = fields.get("Content-Type", "").startswith("application/problem+json")
        attempt = Attempt(
            self._number,
            request.method,
            request.template or request.path,
            request.service,
            started,
            ended,
            status,
            why or _code(body, is_problem),
            is_problem,
            resent=request.resent,
        )
        self._look_for_strangers(attempt, request_id, fields.get(REQUEST_ID, request_id), raw)
        return Reply(attempt, body, _seconds(fields.get("Retry-After")), fields.get(PARTIAL, ""))

    def _fields(self, request: Request, request_id: str) -> dict[str, str]:
        fields = {REQUEST_ID: request_id}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        if request.key:
            fields[KEY_FIELD] = request.key
        return fields

    def _look_for_strangers(self, attempt: Attempt, asked: str, answered: str, raw: bytes) -> None:
        if answered != asked and answered.startswith(self._run):  # who forwards may put one of its own
            self.astray.append(f"{attempt}, asked as {asked}, bears the id {answered}")
        for number in set(self._marks.findall(raw.decode(errors="replace"))) - {str(self._number)}:
            self.astray.append(f"{attempt}, asked by client {self._number}, holds what client {number} made")


def _code(body: object, is_problem: bool) -> str:
    return str(body.get("code", "")) if is_problem and isinstance(body, Mapping) else ""


def _json(raw: bytes) -> Any:
    with suppress(ValueError):
        return json.loads(raw)
    return None


def _seconds(text: str | None) -> float:
    """Retry-After in seconds; a date, which the kit never sends, counts as none."""
    return float(text) if text and text.isdigit() else AGAIN_S
