"""What becomes of a message's header fields on its way through.

Rules that hold here:

* Fields about the connection end with it: ``Connection``, those that it names, and those that RFC 9110 section 7.6.1
  lists beside it. ``Content-Length`` too: whoever writes the message frames it anew; and ``Expect``, which goes on
  only with a body that is still to come. ``Proxy`` is dropped because CGI would make it ``HTTP_PROXY``.
* What says who sent a request is ours to say. ``X-Forwarded-*`` counts only if a trusted proxy wrote it; else it is
  written anew. ``Forwarded`` is dropped, since nobody here keeps it up.
* A client cannot say who its user is: fields that start with ``X-User-`` are dropped, however they are spelled.
* What is added is added last, so that no ``Connection: x-forwarded-for`` takes it away.
* A field is judged by its name, and a name is judged once: the reader's `Names` remember what each spelling means.
  Fields that mean nothing here are never looked at one by one. What came of a head's fields is remembered with them,
  all but the request's id: the same fields come again.
* ``Via`` says the version that the message came in (RFC 9110 section 7.6.3).
* ``Date`` is added where an answer has none (RFC 9110 section 6.6.1: the recipient "MUST record the time it was
  received and append a corresponding Date header field" when it forwards).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from focushub_core.proxy.http1 import Fields, Names, RequestHead, ResponseHead, framed, lines, status_line

Field = tuple[bytes, bytes]

_DROPPED = b"dropped"
_FORGEABLE = b"x-user-"
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"proxy",
        b"expect",
    }
)
_CLAIMS = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_CARRIED = {b"x-forwarded-port": b"X-Forwarded-Port", b"x-real-ip": b"X-Real-IP"}
_NOT_CARRIED = frozenset({b"x-request-timeout-ms", b"x-explain", b"traceparent", b"tracestate"})
"""What the next one is told anew (`focushub_core.deadline`, and `explain` and `trace` of `focushub_core.telemetry`)."""
_OURS = frozenset({b"host", b"forwarded", b"x-request-id", b"via", *_NOT_CARRIED, *_CLAIMS, *_CARRIED})
_OURS_TO_SAY = frozenset({_DROPPED, b"forwarded", b"x-request-id"})
_LOOKED_AT = {
    b"authorization": b"Authorization",
    b"idempotency-key": b"Idempotency-Key",
    b"origin": b"Origin",
    b"access-control-request-method": b"Access-Control-Request-Method",
}
"""What decides on a request's way, and goes on with it."""
_ABOUT_THE_CONNECTION = frozenset({b"close", b"keep-alive"})


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one client's connection: ours is ``name``, theirs ``peer``, and whether it is believed."""

    name: bytes
    peer: bytes
    peer_trusted: bool
    scheme: bytes = b"http"


_FLEETING = frozenset(
    {
        b"authorization",
        b"cookie",
        b"set-cookie",
        b"idempotency-key",
        b"x-request-id",
        b"x-explain",
        b"traceparent",
        b"tracestate",
    }
)
"""Secret, or another one each time: not to be remembered."""


def request_names() -> Names:
    """For the reader of requests."""
    gaps = (b"content-length", b"idempotency-key")
    return Names(_in_requests, fleeting=_FLEETING, aside=b"X-Request-Id", gaps=gaps)


def response_names() -> Names:
    """For the reader of answers."""
    return Names(_in_responses, fleeting=_FLEETING, aside=b"X-Request-Id", gaps=(b"content-length",))


def request_block(head: RequestHead, side: Side, request_id: bytes, more: bytes = b"") -> bytes:
    """The field lines that go to an upstream, and ``more`` of them; without ``Host`` (its own) and framing."""
    _, before, behind = _around_id(head, side)
    return b"".join((before, request_id, behind, head.more, more))


def request_to(head: RequestHead, side: Side, request_id: bytes, to: bytes, more: bytes) -> bytes:
    """The whole head that goes to an upstream; ``to`` is what names it there (`focushub_core.proxy.http1.to`)."""
    written = head.fields.written
    if written is None or written[0] is not side:
        written = _around_id(head, side)
    end = b"\r\n" if head.framing is None else framed(head.framing) + b"\r\n"
    return b"".join(
        (head.method, b" ", head.target, to, written[1], request_id, written[2], head.more, more, end)
    )


def response_block(
    head: ResponseHead, name: bytes, request_id: bytes, now: Callable[[], bytes], more: bytes = b""
) -> bytes:
    """The field lines that go to the client, and ``more``; without framing. ``name`` is ours, ``now`` a ``Date``."""
    before, behind = _around_id_of_answer(head, name, now())
    return b"".join((before, request_id, behind, head.more, more))


def whole_answer(  # noqa: PLR0917 (the hot path)
    head: ResponseHead, name: bytes, request_id: bytes, now: Callable[[], bytes], more: bytes, body: bytes
) -> bytes:
    """A whole answer, as it goes to the client; ``body`` is all that ``head`` announced."""
    written = head.written
    if written is None or written[0] is not name:
        before, behind = _around_id_of_answer(head, name, now())
        written = (name, status_line(head.status, head.reason) + before, behind)
        if b"date" in head.fields.meant:
            head.written = written
    framing = head.length if head.framing is None and head.status != 204 else head.framing
    return b"".join((written[1], request_id, written[2], head.more, more, framed(framing), b"\r\n", body))


def own_fields(head: RequestHead, side: Side) -> list[Field]:
    """The fields as a route of our own sees them: without what is ours to say, or a proxy's that we believe."""
    without = _OURS_TO_SAY if side.peer_trusted else _OURS_TO_SAY.union(_CLAIMS, _CARRIED)
    return [line.field for line in head.fields.lines if line.meant not in without]


def _around_id(head: RequestHead, side: Side) -> tuple[object, bytes, bytes]:
    """For whom this is, what stands before the request's id, and what behind it; remembered with the fields."""
    written = head.fields.written
    if written is not None and written[0] is side:
        return written
    plain, known = _kept(head.fields, head.options)
    peer, scheme, host = side.peer, side.scheme, head.host
    carried = lines((_LOOKED_AT[name], value) for name, value in known if name in _LOOKED_AT)
    if side.peer_trusted:
        peer = _listed(known, b"x-forwarded-for", peer)
        scheme = _first(known, b"x-forwarded-proto", scheme)
        host = _first(known, b"x-forwarded-host", host)
        carried += lines((_CARRIED[name], value) for name, value in known if name in _CARRIED)
    written = head.fields.written = (
        side,
        b"%bX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n%bX-Request-Id: "
        % (b"".join(plain), peer, scheme, host, carried),
        b"\r\nVia: %b\r\n" % _via(known, head.minor, side.name),
    )
    return written


def _around_id_of_answer(head: ResponseHead, name: bytes, now: bytes) -> tuple[bytes, bytes]:
    plain, known = _kept(head.fields, head.options)
    date = _first(known, b"date", now)
    return (
        b"%bDate: %b\r\nX-Request-Id: " % (b"".join(plain), date),
        b"\r\nVia: %b\r\n" % _via(known, head.minor, name),
    )


def trailers(fields: Iterable[Field], names: Names) -> list[Field]:
    """Those trailers that go on: none that would mean something to us, or to the next one, in a head."""
    return [field for field in fields if not names[field[0]]]


def _in_requests(lower: bytes) -> bytes:
    plain = lower.replace(b"_", b"-")  # some servers take X_User_Id for X-User-Id
    if lower in HOP_BY_HOP or plain.startswith(_FORGEABLE):
        return _DROPPED
    if plain in _OURS:
        return lower if lower == plain else _DROPPED
    return lower if lower in _LOOKED_AT else b""


def _in_responses(lower: bytes) -> bytes:
    if lower in HOP_BY_HOP:
        return _DROPPED
    return lower if lower in (b"via", b"x-request-id", b"date") else b""


def _kept(fields: Fields, options: frozenset[bytes]) -> tuple[list[bytes], list[Field]]:
    """Without what ``Connection`` named."""
    if options <= _ABOUT_THE_CONNECTION:
        return fields.plain, fields.known
    plain = [line.written for line in fields.lines if not line.meant and line.field[0].lower() not in options]
    return plain, [field for field in fields.known if field[0] not in options]


_OWN_VIA = {minor: b"1.%d " % minor for minor in (0, 1)}


def _via(known: list[Field], minor: int, name: bytes) -> bytes:
    return _listed(known, b"via", _OWN_VIA[minor] + name)


def _listed(known: list[Field], wanted: bytes, own: bytes) -> bytes:
    listed = own
    for name, value in reversed(known):
        if name == wanted and value:
            listed = b"%b, %b" % (value, listed)
    return listed


def _first(known: list[Field], wanted: bytes, otherwise: bytes) -> bytes:
    for name, value in known:
        if name == wanted:
            return value
    return otherwise
