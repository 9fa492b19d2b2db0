"""What the parts' ``/readyz?verbose`` tell of upstreams and of limits, as `focushub status` shows it. Pure.

Rules that hold here:

* Nothing is shown where there is nothing: a part that tells less (an older one, one that is silent) has no rows.
* Of the balancer every upstream is shown, of a gateway those that are not well: a service is a part of its own.
* Gateways keep limits together, so that their counts are added up; a service's own limits stand apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = Mapping[str, Any]
Body = Mapping[str, Any]
WELL = frozenset({"up", "unknown"})
FAILURES = ("faulty", "unreachable", "frozen")
COUNTS = ("admitted", "refused", "leased", "degraded")


def upstreams(parts: Iterable[Part], bodies: Mapping[str, Body]) -> list[dict[str, Any]]:
    """Every upstream that a part tells of: ``seen_by``, the ``part`` that it is (or ``None``), and what is told."""
    parts = list(parts)
    names = {part["url"]: part["name"] for part in parts}
    return [
        {"seen_by": part["name"], "part": names.get(told.get("url")), **told}
        for part in parts
        for told in _told(bodies.get(part["name"], {}).get("upstreams"))
    ]


def limits(parts: Iterable[Part], bodies: Mapping[str, Body]) -> list[dict[str, Any]]:
    """The limits of each part that keeps some: ``kept_by``, and what it tells."""
    found = [(part["name"], bodies.get(part["name"], {}).get("limits")) for part in parts]
    return [{"kept_by": name, **told} for name, told in found if isinstance(told, Mapping)]


def unfit(body: Body, names: Mapping[str, str]) -> list[str]:
    """The parts, by their names at addresses, that whoever told ``body`` sends nothing to for now."""
    told = _told(body.get("upstreams"))
    return [names[one["url"]] for one in told if one.get("url") in names and one.get("state") not in WELL]


def upstream_rows(parts: Iterable[Part], found: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The table of upstreams with its head; empty without any."""
    balancers = {part["name"] for part in parts if part["kind"] == "load-balancer"}
    shown = [one for one in found if one["seen_by"] in balancers or one.get("state") not in WELL]
    rows = [
        (
            one["seen_by"],
            str(one["part"] or one.get("url") or one.get("origin")),
            str(one.get("state", "-")),
            _number(one, "in_flight"),
            _number(one, "answered"),
            _number(one, *FAILURES),
            _said(one),
        )
        for one in shown
    ]
    return [("seen by", "upstream", "state", "running", "answered", "failed", "why"), *rows] if rows else []


def limit_rows(parts: Iterable[Part], found: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The table of limits with its head; empty where none was asked for yet and none is kept alone."""
    gateways = {part["name"] for part in parts if part["kind"] == "gateway"}
    keepers: dict[str, list[Mapping[str, Any]]] = {}
    for one in found:
        keepers.setdefault("gateways" if one["kept_by"] in gateways else one["kept_by"], []).append(one)
    rows = [row for keeper, told in keepers.items() for row in _limits_of(keeper, told)]
    return [("limits of", "kept", "policy", *COUNTS), *rows] if rows else []


def _limits_of(keeper: str, told: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    kept = ", ".join(dict.fromkeys(str(one.get("kept", "-")) for one in told))
    by_policy: dict[str, list[Mapping[str, Any]]] = {}
    for one in told:
        for policy, counts in one.get("policies", {}).items():
            by_policy.setdefault(policy, []).append(counts)
    rows = [
        (keeper, kept, policy, *(str(sum(count.get(name, 0) for count in counts)) for name in COUNTS))
        for policy, counts in by_policy.items()
    ]
    if not rows and any(one.get("degraded") for one in told):
        return [(keeper, kept, "-", *("0" for _ in COUNTS))]
    return rows


def _told(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _number(one: Mapping[str, Any], *names: str) -> str:
    there = [one[name] for name in names if name in one]
    return str(sum(there)) if there else "-"


def _said(one: Mapping[str, Any]) -> str:
    """Why it is not up, or when it was last found so."""
    check = one.get("last_check")
    if one.get("why") or not isinstance(check, Mapping):
        return str(one.get("why", ""))
    return f"check {check.get('result', '')} {check.get('seconds_ago', 0):.1f} s ago"
