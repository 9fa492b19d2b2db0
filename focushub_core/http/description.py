"""What one operation says of itself in the OpenAPI document, while it is being gathered.

The compiler of the document fills it from the signature; habits and provided types add what is theirs.
"""

from __future__ import annotations

from typing import Any

import msgspec

Schema = dict[str, Any]


class Description(msgspec.Struct):
    """One operation: an OpenAPI 3.1 operation object in the making."""

    parameters: list[dict[str, Any]] = []
    headers: dict[str, dict[str, Any]] = {}
    """Header fields of every success, by name: OpenAPI header objects."""
    responses: dict[int, dict[str, Any]] = {}
    """Answers that are no problems, beside the function's own result: OpenAPI response objects."""
    problems: dict[int, list[str]] = {}
    """Codes of problems, by status."""
    security: list[dict[str, list[str]]] = []

    def takes_header(self, name: str, schema: Schema, description: str, *, required: bool = False) -> None:
        """A header field that the operation reads."""
        field = {"name": name, "in": "header", "required": required, "schema": schema}
        self.parameters.append(field | {"description": description})

    def answers_header(self, name: str, schema: Schema, description: str) -> None:
        """A header field that every success carries."""
        self.headers[name] = {"description": description, "schema": schema}

    def answers(self, status: int, description: str) -> None:
        """A further answer without a body, such as 304."""
        self.responses[status] = {"description": description}

    def refuses(self, status: int, *codes: str) -> None:
        """A problem that the operation may answer, with its codes."""
        known = self.problems.setdefault(status, [])
        known.extend(code for code in codes if code not in known)
