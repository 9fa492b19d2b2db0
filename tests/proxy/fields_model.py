"""What becomes of header fields on their way through, said in text: the model of the bytes' way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Fields = list[tuple[str, str]]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "proxy",
        "expect",
    }
)
FORGEABLE = "x-user-"
_CLAIMS = frozenset(
    {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip"}
)
_OURS = frozenset({"host", "forwarded", "x-request-id", "via"})


@dataclass(frozen=True, slots=True)
class Hop:
    """What this proxy knows about a request: who is at the other end, and how it was asked for.

    ``peer`` is the socket's other address, ``host`` the request's ``Host``; ``name`` is ours in ``Via``.
    """

    name: str
    peer: str
    peer_trusted: bool
    scheme: str
    host: str
    request_id: str


def request_fields(fields: Iterable[tuple[str, str]], hop: Hop) -> Fields:
    """The fields that go to an upstream, without ``Host`` (the upstream's own) and framing."""
    given = list(fields)
    dropped = _dropped(given)
    kept = [(name, value) for name, value in given if name.lower() not in dropped]
    passed = [
        (name, value)
        for name, value in kept
        if not _plain(name).startswith(FORGEABLE) and _plain(name) not in _CLAIMS | _OURS
    ]
    return passed + _added(kept, hop)


def response_fields(fields: Iterable[tuple[str, str]], name: str) -> Fields:
    """The fields that go to the client, without framing; ``name`` is ours in ``Via``."""
    given = list(fields)
    dropped = _dropped(given) | {"via"}
    kept = [(field, value) for field, value in given if field.lower() not in dropped]
    return [*kept, ("Via", _listed(given, "via", f"1.1 {name}"))]


def _dropped(fields: Fields) -> frozenset[str]:
    named = (
        option.strip().lower()
        for field, value in fields
        if field.lower() == "connection"
        for option in value.split(",")
    )
    return HOP_BY_HOP.union(named)


def _added(kept: Fields, hop: Hop) -> Fields:
    believed = kept if hop.peer_trusted else []
    return [
        ("X-Forwarded-For", _listed(believed, "x-forwarded-for", hop.peer)),
        ("X-Forwarded-Proto", _first(believed, "x-forwarded-proto", hop.scheme)),
        ("X-Forwarded-Host", _first(believed, "x-forwarded-host", hop.host)),
        *((name, value) for name, value in believed if _plain(name) in ("x-forwarded-port", "x-real-ip")),
        ("X-Request-Id", hop.request_id),
        ("Via", _listed(kept, "via", f"1.1 {hop.name}")),
    ]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")  # some servers take X_User_Id for X-User-Id


def _listed(fields: Fields, wanted: str, own: str) -> str:
    return ", ".join([*(value for name, value in fields if name.lower() == wanted and value), own])


def _first(fields: Fields, wanted: str, otherwise: str) -> str:
    return next((value for name, value in fields if name.lower() == wanted), otherwise)
