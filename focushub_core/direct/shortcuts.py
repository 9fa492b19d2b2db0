"""Which of an application's routes are found by one look into a dictionary: nearly all of them.

Rules that hold here:

* It is a path that is written out, or one that ends with its only variable (``/v1/notes/{note_id}``).
* What is found here is what aiohttp would find. A path that another route could match, too, or that is not plain
  (a percent sign, a variable with a pattern of its own), is left to aiohttp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from aiohttp import web

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_ENDS_WITH_ONE = re.compile(r"(?P<above>[^{}]*)/\{(?P<name>[^{}]+)\}")
_PLAIN = bytes(set(range(0x21, 0x7F)) - set(b"%#{}"))


_Resource = web.PlainResource | web.DynamicResource
_KINDS = frozenset({web.PlainResource, web.DynamicResource})
"""Whose ways of looking at a path are known; a class that is made of one of them may have its own."""


T = TypeVar("T")


class Shortcuts(Generic[T]):
    """Of ``app``, whose routes are all there. ``leads_to`` says of each of them what is found by it."""

    def __init__(self, app: web.Application, leads_to: Callable[[web.AbstractRoute], T]) -> None:
        self._leads_to = leads_to
        self._whole: dict[tuple[bytes, bytes], tuple[T, dict[str, str]]] = {}
        self._above: dict[tuple[bytes, bytes], tuple[T, str]] = {}
        self._left: set[bytes] = set()
        """Paths written out that aiohttp has to look for: no variable is to take them."""
        resources: list[_Resource] = []
        for resource in app.router.resources():
            if type(resource) not in _KINDS:  # an application within it, a folder: aiohttp looks for all
                return
            assert isinstance(resource, _Resource)
            resources.append(resource)
        for resource in resources:
            shared = any(_compete(resource, other) for other in resources)
            if not shared and not any(route.method == "*" for route in resource):
                self._take(resource)
            elif isinstance(resource, web.PlainResource):
                self._left.add(resource.canonical.encode())

    def find(self, method: bytes, target: bytes) -> tuple[T, Mapping[str, str]] | None:
        """What is found by a request's target, and what its path says; None where aiohttp has to look."""
        path = target.partition(b"?")[0]
        whole = self._whole.get((method, path))
        if whole is not None:
            return whole
        above, _, last = path.rpartition(b"/")
        ends = self._above.get((method, above))
        if ends is None or not last or not _is_plain(last) or path in self._left:
            return None
        return ends[0], {ends[1]: last.decode()}

    def _take(self, resource: _Resource) -> None:
        template = resource.canonical
        ends = _ENDS_WITH_ONE.fullmatch(template)
        fixed = (template if ends is None else ends["above"]).encode()
        if not _is_plain(fixed):
            return
        for route in resource:
            key = (route.method.encode(), fixed)
            if ends is not None:
                self._above.setdefault(key, (self._leads_to(route), ends["name"]))
            else:
                self._whole.setdefault(key, (self._leads_to(route), {}))


def _is_plain(text: bytes) -> bool:
    return not text.translate(None, _PLAIN)


def _compete(one: _Resource, other: _Resource) -> bool:
    """Whether one path could be of both, so that their order counts. What is unusual competes with itself."""
    if isinstance(one, web.PlainResource):
        return isinstance(other, web.PlainResource) and other is not one and one.canonical == other.canonical
    if one is other or _above(one) != _above(other) or isinstance(other, web.PlainResource):
        return one is other and _is_unusual(one)
    return one.canonical.count("/") == other.canonical.count("/") or _is_unusual(other)


def _above(resource: _Resource) -> str:
    """What stands before the first variable, by whole segments: aiohttp looks at the longest first."""
    return resource.canonical.partition("{")[0].rpartition("/")[0]


def _is_unusual(resource: _Resource) -> bool:
    """Whether a variable has a pattern of its own, which the canonical path does not show."""
    pattern = resource.get_info().get("pattern")
    return pattern is None or pattern.pattern != "".join(_usual(resource.canonical))


def _usual(template: str) -> Iterator[str]:
    for number, part in enumerate(_VARIABLE.split(template)):
        yield f"(?P<{part}>{web.DynamicResource.GOOD})" if number % 2 else re.escape(part)
