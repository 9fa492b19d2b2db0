"""A client's connection: requests in, answers out, one exchange after another.

Rules that hold here:

* One request is served at a time; what was pipelined behind it waits in the reader, then in the socket.
* What is refused is answered, and then the connection closes: nothing is read after what could not be understood.
* An answer that came before its request's end closes the connection, too, unless what is missing is small.
* A connection closes by lingering, so that the client can read the answer before its own writing fails (RFC 9112
  section 9.6).
* A client that has closed its side still gets the answers it asked for, unless the engine takes it for gone
  (`Engine.answers_half_closed`).
* Every deadline is kept by the wheel: for a head, for the rate of a body, for taking an answer, for the next request.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from focushub_core.errors import BadRequest, FocusHubError, NotFound, RequestTimeout
from focushub_core.proxy.engine.answers import Answer, refusal
from focushub_core.proxy.engine.exchange import Exchange
from focushub_core.proxy.engine.limits import KEPT
from focushub_core.proxy.engine.own import Deciding, Own, Skipping
from focushub_core.proxy.engine.route import Asked, Route
from focushub_core.proxy.engine.serving import Serving
from focushub_core.proxy.engine.wheel import ROUND
from focushub_core.proxy.engine.witness import Witness
from focushub_core.proxy.http1 import End, ProtocolError, RequestHead, RequestReader
from focushub_core.proxy.rewrite import Side
from focushub_core.telemetry.access import CLIENT_GONE, QUIET
from focushub_core.telemetry.context import new_id, take_up

if TYPE_CHECKING:
    from focushub_core.proxy.engine.engine import Engine

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset


class ClientConnection(asyncio.Protocol):
    """One client. ``last`` says that after the present answer the connection closes."""

    __slots__ = (
        "_body_over", "_credit", "_ended", "_engine", "_head", "_looked", "_pumping", "_read_over", "_reader",
        "_received", "_request_id", "_route", "_since", "_started", "_stuck", "_unread", "_waiting", "full", "last",
        "serving", "side", "slot", "told", "transport", "witness",
    )  # fmt: skip

    transport: asyncio.Transport
    side: Side

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = RequestReader(engine.request_names)
        self.slot = 0
        self.full = False
        """Whether the client has to take some of what was written before more is."""
        self.last = False
        self.serving: Serving | None = None
        self._ended = False  # the client sends no more
        self._read_over = False  # nor do we read more, but to throw it away
        self._waiting = False  # reading is paused
        self._pumping = False
        self._since = 0.0  # when the wait for a head, the head, or lingering began
        self._stuck = (0.0, 0)  # since when the client takes nothing, and how much lies there
        # the present request
        self._head: RequestHead | None = None
        self._body_over = True
        self._looked = 0.0
        self._received = 0  # bytes since the last look
        self._credit = 0.0  # seconds that the body may yet be silent
        self._route = ""
        self._request_id = ""
        self._started = 0.0
        self._unread = b""  # its head, where somebody else may have to read it
        self.told = b""
        """Further field lines of its answer."""
        self.witness: Witness | None = None

    # asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self.side = self._engine.side(transport.get_extra_info("peername"))
        self._since = self._engine.clock()
        self._engine.joined(self)

    def data_received(self, data: bytes) -> None:
        if self._read_over:
            return
        self._received += len(data)
        if self.serving is None and not self.full:
            try:
                if (head := self._reader.start(data)) is not None:
                    self._begin(head, data)
                    if head.framing or self._reader.rest:
                        self.go_on()
                    return
            except ProtocolError as error:
                self._give_up(error)
                return
            if self._reader.between:
                self._since = now = self._engine.clock()
                self.expect_look(now + self._engine.timeouts.head_s, now)
        self._reader.receive(data)
        self.go_on()

    def eof_received(self) -> bool:
        self._ended = True
        self.go_on()
        self._engine.outbox.flush()
        wants_answers = self._engine.answers_half_closed and (self.serving is not None or self.full)
        return wants_answers and not self._read_over

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_over = True
        self._engine.left(self)
        serving, self.serving = self.serving, None
        if serving is not None and not isinstance(serving, Skipping):
            serving.on_gone()
            self._account(CLIENT_GONE, self._engine.clock())

    def pause_writing(self) -> None:
        self.full = True
        if self.serving is not None:
            self.serving.on_full()

    def resume_writing(self) -> None:
        self.full = False
        if self.serving is not None:
            self.serving.on_room()
        self.go_on()

    # Requests -----------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Read as far as whoever serves takes it."""
        if self._pumping or self._read_over:
            return
        self._pumping = True
        try:
            self._pump()
        except ProtocolError as error:
            self._give_up(error)
        finally:
            self._pumping = False
        if not self._read_over:
            self._throttle()
            if self._ended:
                self._end()

    def _pump(self) -> None:
        while not self._read_over:
            serving = self.serving
            if self.full if serving is None else not serving.wants_body:
                return
            received = self._reader.rest
            event = self._reader.next()
            if event is None:
                return
            if isinstance(event, RequestHead):
                if not event.framing:
                    self._reader.next()  # its end
                self._begin(event, received)
            elif serving is None:
                raise AssertionError("a body that nobody asked for")
            elif isinstance(event, bytes):
                serving.on_body(event)
            elif isinstance(event, End):
                self._body_over = True
                serving.on_body_end(event)

    def _begin(self, head: RequestHead, received: bytes) -> None:
        """A request begins: its head stood at the start of what was ``received``."""
        engine = self._engine
        now = engine.clock()
        engine.counters.in_flight += 1
        self._head = head
        self._started = now
        self._body_over = True
        self.last = False
        if head.aside:
            self._request_id = take_up(head.aside.decode())
        else:
            given = b"x-request-id" in head.fields.meant
            self._request_id = take_up(head.fields.first(b"x-request-id")) if given else new_id()
        watched = engine.watched
        if watched is not None and watched.isdisjoint(head.fields.meant):
            self.witness = None
        else:
            self.witness = engine.witness(head, self._request_id, now)
        if head.framing:
            self._body_over = False
            self._looked, self._received, self._credit = now, 0, engine.timeouts.body_grace_s
        try:
            route = engine.route(head, self.side)
        except FocusHubError as error:
            self._route, self.told = "unmatched", b""
            self.refuse(error)
            return
        if type(route) is not Route or route.elsewhere is not None:
            self._unread = received[: len(received) - len(self._reader.rest)]
        if type(route) is Route:
            self.serve(route, now)
        else:
            self._route, self.told = "unmatched", b""
            coming = cast(Awaitable[Route], route)
            self.serving = Deciding(engine, self, coming, head, self._request_id)

    def serve(self, route: Route, now: float) -> None:
        """Have the present request answered as ``route`` says."""
        engine, head = self._engine, self._head
        assert head is not None
        self._route = route.label
        self.told = route.told
        if self.witness is not None:
            self.witness.decided(route.notes)
        if route.pool is not None:
            self.serving = exchange = Exchange(engine, self, head, route, self._request_id.encode())
            exchange.begin(now)
        elif route.handler is not None:
            body = b"" if self._body_over else self._reader.body_at_hand()
            self._body_over = body is not None
            asked = Asked(head, body or b"", self.side, self._request_id, route)
            self.serving = own = Own(engine, self, asked, route.handler)
            own.begin(now, body_over=self._body_over)
        elif route.elsewhere is not None:
            self._hand_over(route.elsewhere())
        else:
            self.refuse(route.refusal or NotFound())

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        """From this request on ``protocol`` has the connection, as if it had had it from the start."""
        engine, received = self._engine, self._unread + self._reader.rest
        self.serving = None
        self._read_over = True
        engine.counters.in_flight -= 1
        engine.left(self)
        engine.outbox.flush()
        if self._waiting:
            self.transport.resume_reading()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.full:
            protocol.pause_writing()
        protocol.data_received(received)

    def _end(self) -> None:
        """The client has closed its side, and all that it sent has been read."""
        if self.serving is None or self.serving.wants_body:
            try:
                self._reader.eof()
            except ProtocolError:
                self._give_up(BadRequest("the request broke off"))
            else:
                if not self.full:
                    self._close()

    def _throttle(self) -> None:
        """Stop the socket while more has come than anybody takes."""
        waits = len(self._reader.rest) > KEPT
        if waits is not self._waiting:
            self._waiting = waits
            if waits:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # Answers ------------------------------------------------------------------------------------------------

    def keeps(self, head: RequestHead) -> bool:
        """Whether another request may follow ``head``'s."""
        return head.keeps and not self._engine.draining

    def write(self, data: bytes) -> None:
        """Send a part of the answer, by the end of this turn of the loop."""
        self._engine.outbox.write(self, data)

    def send(self, data: bytes) -> None:
        """Write now, if the client is still there."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def refuse(self, error: FocusHubError) -> None:
        """Answer the present request with a problem."""
        self.answer(refusal(error, self._request_id))

    def answer(self, answer: Answer) -> None:
        """Answer the present request."""
        head = self._head
        self.last = head is None or not self.keeps(head) or not (self._body_over or _is_small(head))
        self._write_answer(answer)

    def finished(self, status: int, now: float) -> None:
        """The answer is written at ``now``: account for it, and go on to the next request."""
        self.serving = None
        self._account(status, now)
        if self.last:
            self._linger()
        elif self._body_over:
            self._since = now
            if self._ended or self._reader.rest:
                self.go_on()
        else:
            self.serving = Skipping(self)
            self.go_on()

    def skipped(self) -> None:
        """Request and answer are over."""
        self.serving = None
        self._since = self._engine.clock()
        if self._ended or self._reader.rest:
            self.go_on()

    def break_off(self, status: int) -> None:
        """End the connection without the end of the message."""
        self.serving = None
        self._account(status, self._engine.clock())
        self._read_over = True
        if (
            self._head is not None and self._head.minor == 0
        ):  # to it, a plain close could be the end of the body
            self._engine.outbox.flush()
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        else:
            self._since = self._engine.clock()
            self._close()

    def stop(self) -> None:
        """The process ends: finish what runs, begin nothing new."""
        if self.serving is None:
            self._close()

    def _close(self) -> None:
        """End the connection when all is sent."""
        self._engine.outbox.flush()
        self.transport.close()

    def _write_answer(self, answer: Answer) -> None:
        bodiless = self._head is not None and self._head.method == b"HEAD"
        now = self._engine.clock()
        told = self.told if self.witness is None else self.told + self.witness.told(now)
        self.write(answer.written(self._request_id.encode(), told, bodiless=bodiless, close=self.last))
        self.finished(answer.status, now)

    def _give_up(self, error: FocusHubError) -> None:
        """What comes, or does not, cannot be served: say so if there is a place for it, and read no more."""
        serving = self.serving
        if isinstance(serving, Skipping):
            self.serving = None
            self._linger()
            return
        if serving is not None:
            serving.on_gone()
            if isinstance(serving, Exchange) and serving.streams:
                self.break_off(error.status)
                return
        else:
            self._engine.counters.in_flight += 1
            self._started, self._request_id, self._route = self._since, new_id(), "unmatched"
            self.told, self.witness = b"", None
        self._head = None if serving is None else self._head
        self._body_over = False
        self.last = True
        self._write_answer(refusal(error, self._request_id))

    def _linger(self) -> None:
        """Send no more, and read on without looking until the client has seen that."""
        self._read_over = True
        self._since = self._engine.clock()
        if self._ended:
            self._close()
            return
        if self._waiting:
            self._waiting = False
            self.transport.resume_reading()
        self._engine.outbox.flush()
        self.transport.write_eof()
        self._engine.wheel.soon(self, self._since + self._engine.timeouts.linger_s)

    def _account(self, status: int, now: float) -> None:
        engine, head = self._engine, self._head
        engine.counters.in_flight -= 1
        if head is None:
            method = path = "-"
        else:
            method, path = head.words or head.in_words()
        trace_id = None
        if (witness := self.witness) is not None:
            witness.over(self._route, status, now)
            trace_id = witness.trace_id
        route, seconds = self._route, now - self._started
        engine.counters.answered(method, route, status, seconds)
        if status >= 500 or route not in QUIET:
            engine.access.write(method, path, route, status, seconds, self._request_id, trace_id)

    # Time ---------------------------------------------------------------------------------------------------

    def expect_look(self, when: float, now: float) -> None:
        """A deadline is set; the wheel has to hear of it only if it is near."""
        if when - now < ROUND:
            self._engine.wheel.soon(self, when)

    def look(self, now: float) -> float | None:
        """Act on what is due."""
        if not self._engine.has(self):
            return None
        if self._is_stuck(now):
            self.transport.abort()
            return None
        if self._read_over:
            due = self._since + self._engine.timeouts.linger_s
            if now >= due and not self.transport.get_write_buffer_size():
                self.transport.abort()
                return None
            return due
        if self.serving is None:
            return self._look_for_head(now)
        if not self._body_over:
            self._look_at_rate(now)
        return self.serving.look(now) if self.serving is not None else now

    def _is_stuck(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        since, before = self._stuck
        if not size or size < before or not before:
            self._stuck = (now, size)
            return False
        return now - since >= self._engine.timeouts.idle_s

    def _look_for_head(self, now: float) -> float:
        timeouts = self._engine.timeouts
        if self.full:
            self._since = now
        self._reader.forget()
        due = self._since + (timeouts.keep_alive_s if self._reader.between else timeouts.head_s)
        if now >= due:
            if self._reader.between:
                self._close()
            else:
                self._give_up(RequestTimeout("the head did not come in time"))
        return due

    def _look_at_rate(self, now: float) -> None:
        """RFC 9110 section 15.5.9. Only time counts in which the body was waited for."""
        timeouts, serving, head = self._engine.timeouts, self.serving, self._head
        elapsed, self._looked = now - self._looked, now
        received, self._received = self._received, 0
        if serving is None or not serving.wants_body or head is None:
            return
        if head.expects and not received and self._credit == timeouts.body_grace_s:
            return  # it waits for the answer to its expectation
        self._credit = min(self._credit + received / timeouts.body_rate - elapsed, timeouts.body_grace_s)
        if self._credit < 0:
            self._give_up(RequestTimeout("the body came too slowly"))


def _is_small(head: RequestHead) -> bool:
    """Whether the rest of the request may be read over: not if the client waits for an answer first."""
    return head.framing is not None and 0 <= head.framing <= KEPT and not head.expects
