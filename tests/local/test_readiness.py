"""What `focushub status` makes of the parts' ``/readyz?verbose``."""

from __future__ import annotations

from typing import Any

import pytest

from focushub_generator.local.console import table
from focushub_generator.local.readiness import limit_rows, limits, unfit, upstream_rows, upstreams

PARTS = [
    {"name": "load-balancer", "kind": "load-balancer", "url": "http://127.0.0.1:8080"},
    {"name": "gateway-1", "kind": "gateway", "url": "http://127.0.0.1:3000"},
    {"name": "gateway-2", "kind": "gateway", "url": "http://127.0.0.1:3100"},
    {"name": "task-service", "kind": "service", "url": "http://127.0.0.1:3002"},
]


def upstream(port: int, state: str = "up", **more: Any) -> dict[str, Any]:
    counts = {"in_flight": 2, "answered": 811, "faulty": 3, "unreachable": 1, "frozen": 0}
    check = {"result": "passed", "seconds_ago": 1.25}
    return {
        "url": f"http://127.0.0.1:{port}",
        "state": state,
        "why": "",
        **counts,
        "last_check": check,
        **more,
    }


def policies(degraded: bool = False, **admitted: int) -> dict[str, Any]:
    counts = {
        name: {"admitted": count, "refused": 2, "leased": 1, "degraded": 0}
        for name, count in admitted.items()
    }
    return {"kept": "by shares" if degraded else "shared", "degraded": degraded, "policies": counts}


def shown(bodies: dict[str, Any]) -> list[str]:
    """All that is shown below the parts."""
    rows = [
        upstream_rows(PARTS, upstreams(PARTS, bodies)),
        limit_rows(PARTS, limits(PARTS, bodies)),
    ]
    return [line for found in rows if found for line in table(found)]


def test_of_the_balancer_every_upstream_is_shown_by_the_name_of_the_part() -> None:
    gone = upstream(3100, "down", why="a check was answered 500", last_check=None)
    elsewhere = {
        "origin": "http://gateway:3000",
        "url": None,
        "state": "unresolved",
        "why": "its name has no address",
    }
    assert shown({"load-balancer": {"upstreams": [upstream(3000), gone, elsewhere]}}) == [
        "seen by        upstream             state       running  answered  failed  why",
        "load-balancer  gateway-1            up                2       811       4  check passed 1.2 s ago",
        "load-balancer  gateway-2            down              2       811       4  a check was answered 500",
        "load-balancer  http://gateway:3000  unresolved        -         -       -  its name has no address",
    ]


def test_of_a_gateway_only_what_is_not_well_is_shown() -> None:
    well, unknown = upstream(3002), upstream(3002, "unknown", why="not checked yet")
    assert shown({"gateway-1": {"upstreams": [well, unknown]}}) == []
    assert (
        len(shown({"gateway-1": {"upstreams": [well, upstream(3002, "ejected", why="it stood still")]}})) == 2
    )


def test_what_gateways_let_in_is_added_up_and_a_services_own_limits_stand_apart() -> None:
    bodies = {
        "gateway-1": {"limits": policies(user=10, login=1)},
        "gateway-2": {"limits": policies(user=5)},
        "task-service": {"limits": policies(imports=7)},
    }
    assert shown(bodies) == [
        "limits of     kept    policy   admitted  refused  leased  degraded",
        "gateways      shared  user           15        4       2         0",
        "gateways      shared  login           1        2       1         0",
        "task-service  shared  imports         7        2       1         0",
    ]


def test_limits_that_are_kept_alone_are_shown_before_anybody_asked() -> None:
    bodies = {"gateway-1": {"limits": policies()}, "gateway-2": {"limits": policies(degraded=True)}}
    assert shown(bodies)[1:] == ["gateways   shared, by shares  -              0        0       0         0"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"upstreams": [], "limits": policies()},
        {"upstreams": None, "limits": None},
        {"upstreams": {"a": 1}, "limits": [1]},
        {"upstreams": [1]},
    ],
)
def test_a_part_that_tells_nothing_has_no_rows(body: dict[str, Any]) -> None:
    assert shown({part["name"]: body for part in PARTS}) == []


def test_who_is_left_out_is_named_if_it_is_part_of_the_stack() -> None:
    names = {part["url"]: part["name"] for part in PARTS}
    told = [upstream(3000), upstream(3100, "down"), upstream(3002, "unknown"), upstream(3009, "down"), 7]
    assert unfit({"upstreams": told}, names) == ["gateway-2"]
    assert unfit({}, names) == []


def test_an_older_part_that_tells_less_is_shown_with_what_it_tells() -> None:
    bodies = {
        "load-balancer": {"upstreams": [{"url": "http://127.0.0.1:3000", "state": "up", "in_flight": 0}]}
    }
    assert shown(bodies)[1:] == ["load-balancer  gateway-1  up           0  -         -"]
