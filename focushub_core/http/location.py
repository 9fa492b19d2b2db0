"""Where what was just created is: ``Location`` (RFC 9110, 10.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from focushub_core.http.description import Description
from focushub_core.http.habit import Call, Habit
from focushub_core.http.models import Answer

if TYPE_CHECKING:
    from focushub_core.http.handlers import Operation

CREATED = 201


class Located(Habit):
    """Every 201 says where the new thing is: at the request's path and its own ``id``, unless the function says."""

    def fits(self, operation: Operation) -> bool:
        return operation.route.method == "POST" and operation.route.status == CREATED

    def wrap(self, call: Call, operation: Operation) -> Call:
        async def create(request: web.Request) -> Any:
            result = await call(request)
            answer = result if isinstance(result, Answer) else Answer(result)
            found = getattr(answer.body, "id", None)
            if isinstance(result, web.StreamResponse) or found is None or "Location" in answer.headers:
                return result
            location = f"{request.rel_url.raw_path.rstrip('/')}/{quote(str(found), safe='')}"
            return Answer(answer.body, answer.status, {**answer.headers, "Location": location})

        return create

    def describe(self, description: Description, operation: Operation) -> None:
        """The field."""
        description.answers_header(
            "Location", {"type": "string", "format": "uri-reference"}, "Where the new thing is."
        )
