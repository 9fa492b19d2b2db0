"""Merge patches (RFC 7396) as structs: a field that a request leaves out is `UNSET` and stays as it is."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET

S = TypeVar("S", bound=msgspec.Struct)


def merged(current: S, patch: msgspec.Struct) -> S:
    """``current`` with the fields that ``patch`` sets; ``null`` clears, and only where the patch's type allows it."""
    values = {name: getattr(patch, name) for name in patch.__struct_fields__}
    return msgspec.structs.replace(current, **{name: v for name, v in values.items() if v is not UNSET})
