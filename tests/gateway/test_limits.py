"""What the gateway's filters remember of who asks for what: never somebody else's bill, and never a number too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core import User
from focushub_core.errors import Unauthorized
from focushub_core.gateway.filters import Filters, Place, Seen
from focushub_core.gateway.routes import Match
from focushub_core.http.cors import Cors
from focushub_core.identity.keys import KeySource
from focushub_core.identity.verifier import Verifier
from focushub_core.proxy.engine import Route
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.http1.fields import Fields
from focushub_core.proxy.rewrite import Side
from focushub_core.ratelimit import Leases, Limiter, Policy
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.counting import Counting
from focushub_core.ratelimit.gcra import Grant, Want, grant
from focushub_core.stack import ServiceEntry

POLICIES = [
    Policy("user", 5000),
    Policy("address", 3000, by="address"),
    Policy("login", 2000, by="address", routes=("/v1/auth/login",)),
    Policy("write", 900, by=("user", "route"), methods=("POST",)),
]
NOW_US = 10**15


class SharedStore:
    """Gives leases, of one moment."""

    def __init__(self) -> None:
        self.tats: dict[str, int] = {}

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        granted = grant(wants, [max(0, self.tats.get(want.bucket, 0) - NOW_US) for want in wants], part)
        for want, debt, lease in zip(wants, granted.debts, granted.leases, strict=True):
            self.tats[want.bucket] = NOW_US + debt + want.need_us + lease
        return granted

    async def ping(self) -> int:
        return 1

    async def close(self) -> None:
        pass


async def no_keys() -> bytes:
    raise AssertionError("no key is needed")


class Acquainted(Verifier):
    """Has verified the tokens of `PEOPLE` before."""

    def remembered(self, token: str) -> User | None:
        user = PEOPLE[int(token)]
        if not self.holds(user):
            raise Unauthorized("expired")
        return user


def filters(clock: Callable[[], float] = lambda: 1000) -> Filters:
    verifier = Acquainted(KeySource(no_keys), issuer="i", audience="a", clock=clock)
    limiter = Limiter(Leases(SharedStore(), clock=lambda: NOW_US * 1000))
    counting = Counting(limiter, POLICIES, parse_networks("10.0.0.0/8"))
    return Filters(Cors([]), verifier, limiter, counting)


class Asking(NamedTuple):
    """Who asks for what, on which connection, with which of a few blocks of fields."""

    path: bytes = b"/v1/tasks"
    method: bytes = b"GET"
    label: str = "/v1/tasks"
    peer: bytes = b"192.0.2.1"
    public: bool = False
    block: int = 0


OTHERWISE: dict[str, list[object]] = {
    "path": [b"/v1/tasks", b"/v1/auth/login", b"/v1/auth/login/x", b"/v1/auth/logins", b"/v1/auth/\xff"],
    "method": [b"GET", b"POST"],
    "label": ["/v1/tasks", "/v1/auth"],
    "peer": [b"10.0.0.1", b"192.0.2.1", b"192.0.2.2"],
    "public": [False, True],
    "block": [0, 1, 2, 3],
}
changes = st.sampled_from([(name, value) for name, values in OTHERWISE.items() for value in values])
PEOPLE = [User(UUID(int=number), UUID(int=9), expires_at=2000) for number in range(2)]


def blocks() -> list[Fields]:
    """Two people's fields, those of nobody, and those of somebody whom a proxy speaks for."""
    forwarded = [(b"x-forwarded-for", b"198.51.100.7")]
    people = [[(b"authorization", b"Bearer %d" % number)] for number in range(2)]
    return [Fields([], [], known, frozenset()) for known in (*people, [], forwarded)]


@cache
def place_of(path: bytes, label: str, public: bool) -> Place:
    match = Match(ServiceEntry("any", 1, (label,)), label, public, False)
    return Place(path, match, label, lambda passed: Route(label, told=passed.told))


@cache
def side_of(peer: bytes) -> Side:
    return Side(b"g", peer, False)


async def told(asked: Filters, who: Asking, fields: Fields) -> bytes:
    """What the answer says of limits."""
    head = RequestHead(who.method, who.path, 1, fields)
    found = asked.apply(place_of(who.path, who.label, who.public), head, side_of(who.peer))
    return (found if isinstance(found, Route) else await found).told


@given(changed=st.lists(changes, max_size=40))
@settings(deadline=None)
def test_what_is_remembered_of_fields_is_the_bill_of_nobody_else(changed: list[tuple[str, object]]) -> None:
    """With shared fields, as with new ones each time, each answer says the same."""
    asyncio.run(compare(changed))


async def compare(changed: list[tuple[str, object]]) -> None:
    remembering, forgetful, shared = filters(), filters(), blocks()
    who = Asking(method=b"POST")
    for name, value in changed:
        who = who._replace(**{name: value})
        fresh = blocks()[who.block]
        forgetful._counting._remembered.clear()

        assert await told(remembering, who, shared[who.block]) == await told(forgetful, who, fresh)
    for each in (remembering, forgetful):
        await each._limiter.close()


async def test_each_permit_is_told_once() -> None:
    """From the first question on, through leases that end and begin: one less each time."""
    asked, fields = filters(), blocks()[2]
    who = Asking(block=2)
    lines = [await told(asked, who, fields) for _ in range(100)]

    assert lines == [
        b'RateLimit-Policy: "address";q=3000;w=60\r\nRateLimit: "address";r=%d;t=1\r\n' % left
        for left in range(2999, 2899, -1)
    ]
    assert asked._limiter.tallies["address"].admitted == 100
    assert asked._limiter.tallies["address"].leased > 80
    await asked._limiter.close()


async def test_a_token_that_has_ended_opens_no_way_that_it_opened_before() -> None:
    now = [1000.0]
    asked, fields, place = filters(lambda: now[0]), blocks()[0], place_of(b"/v1/tasks", "/v1/tasks", False)
    head = RequestHead(b"GET", b"/v1/tasks", 1, fields)
    ways = []
    for at in (*[1000.0] * 50, *[3000.0] * 50):
        now[0] = at
        way = asked.apply(place, head, side_of(b"192.0.2.1"))
        ways.append(way if isinstance(way, Route) else await way)

    assert [way.refusal is None for way in ways] == [True] * 50 + [False] * 50
    await asked._limiter.close()


@pytest.mark.parametrize(("kept", "explained"), [(True, False), (False, False), (True, True)])
async def test_a_way_is_remembered_only_where_the_next_request_can_take_it(
    kept: bool, explained: bool
) -> None:
    asked = filters()
    fields = Fields([], [], [(b"x-explain", b"s")] * explained, frozenset())
    place = place_of(b"/v1/tasks", "/v1/tasks", True)
    place = msgspec.structs.replace(place, kept=kept)
    head = RequestHead(b"GET", b"/v1/tasks", 1, fields)
    for _ in range(2):
        way = asked.apply(place, head, side_of(b"192.0.2.1"))
        assert isinstance(way, Route) or isinstance(await way, Route)
    seen = fields.noted

    assert isinstance(seen, Seen)
    assert (seen.passed is not None) is (kept and not explained)
    await asked._limiter.close()
