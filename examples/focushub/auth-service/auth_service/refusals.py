"""Fields whose form is right but whose content is not: one 422 that names them all."""

from __future__ import annotations

from collections.abc import Iterable

from focushub_core import FieldError, Invalid
from stack_shared.zones import UnknownZone, zone_named


def refuse(wrong: Iterable[FieldError]) -> None:
    """Raises `Invalid` if anything is wrong; its code is the fields' own where they agree on one."""
    errors = tuple(wrong)
    if not errors:
        return
    codes = {error.code for error in errors}
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields are wrong."
    raise Invalid(detail, code=codes.pop() if len(codes) == 1 else None, errors=errors)


def wrong_timezone(name: str) -> Iterable[FieldError]:
    """What is wrong with the field ``timezone``: only IANA names are taken, no offsets."""
    try:
        zone_named(name)
    except UnknownZone as error:
        yield FieldError("timezone", "invalid_timezone", str(error))
