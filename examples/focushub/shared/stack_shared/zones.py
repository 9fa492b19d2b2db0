"""Time zones by their IANA names, and by nothing else: no offsets (``+02:00``), no paths, no ``localtime``.

The names are those of the installed ``tzdata``, so that every part accepts the same ones wherever it runs.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


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
