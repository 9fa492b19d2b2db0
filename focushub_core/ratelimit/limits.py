"""``@limit("20/minute", by="user")``: limits that a handler brings along.

`RateLimits` keeps them, wherever the handler is: a typed handler of a `Service`, a plain aiohttp one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.policy import By, OnOutage, Policy

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__focushub_limits__"


def limit(
    rate: str | Policy,
    *,
    by: By | tuple[By, ...] = "user",
    burst: int = 0,
    name: str | None = None,
    on_outage: OnOutage = "share",
) -> Callable[[Function], Function]:
    """The decorated handler takes ``rate`` requests, such as ``"20/minute"``, of each user, address, ...

    Stands below the decorator that routes. By user, somebody who is not known is counted by address. ``name`` is what
    clients read; left out, the function's. Two handlers whose limits have one name and one rate share their buckets.
    Several limits on one handler all hold. `ConfigurationError` at once if the rate is none.
    """

    def parsed(named: str, text: str) -> Policy:
        return Policy.parse(text, name=named, by=by, burst=burst, on_outage=on_outage)

    def decorate(function: Function) -> Function:
        policy = rate if isinstance(rate, Policy) else parsed(name or _name_of(function), rate)
        setattr(function, _MARK, (*limits_of(function), policy))
        return function

    return decorate


def limits_of(function: object) -> tuple[Policy, ...]:
    """The limits that a handler brings along."""
    found: tuple[Policy, ...] = getattr(function, _MARK, ())
    return found


def one_meaning_each(policies: Iterable[Policy]) -> None:
    """`ConfigurationError` where two limits have one name and are not the same: they would share buckets."""
    by_name: dict[str, Policy] = {}
    for policy in policies:
        if by_name.setdefault(policy.name, policy) != policy:
            raise ConfigurationError(f"two limits are named {policy.name!r}: give one of them a name=")


def _name_of(function: Callable[..., Any]) -> str:
    """A name for a policy: of ``Notes.create`` it is ``notes-create``, of ``create`` in ``notes.py``, too."""
    qualified = str(getattr(function, "__qualname__", "handler")).rpartition("<locals>.")[2]
    if "." not in qualified:
        qualified = f"{function.__module__.rpartition('.')[2]}.{qualified}"
    plain = re.sub(r"[^a-z0-9]+", "-", qualified.lower()).strip("-")
    return plain[-32:].lstrip("-0123456789") or "handler"
