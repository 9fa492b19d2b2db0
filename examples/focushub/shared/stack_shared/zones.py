"""Time zones by their IANA names, and by nothing else: no offsets (``+02:00``), no paths, no ``localtime``.

The names are those of the installed ``tzdata``, so that every part accepts the same ones wherever it runs.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from focushub_core import Rule


class UnknownZone(ValueError):
    """This is no IANA name of a time zone; a request that says it is answered with ``invalid_timezone``."""


@cache
def names() -> frozenset[str]:
    """Every accepted name; upper and lower case count."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def zone_named(name: str) -> ZoneInfo:
    """The zone ``Europe/Berlin`` and its like; `UnknownZone` where there is none of that name."""
    if name not in names():
        raise UnknownZone("This is no IANA time zone, such as Europe/Berlin.")
    return ZoneInfo(name)


def _why_unknown(name: str) -> None:
    zone_named(name)


ZoneName = Annotated[
    str,
    msgspec.Meta(max_length=64, description="An IANA time zone", examples=["Europe/Berlin"]),
    Rule("invalid_timezone", _why_unknown),
]
"""A field of a request that names a zone; any other text is 422 with ``invalid_timezone``."""
