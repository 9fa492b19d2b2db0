"""Finds out who wants to know what becomes of a request: an operator who asks, a trace that it belongs to."""

from __future__ import annotations

from focushub_core.proxy.engine import Engine, traced
from focushub_core.proxy.engine.engine import WATCHED
from focushub_core.proxy.engine.witness import Explaining, Several, Witness
from focushub_core.proxy.http1 import RequestHead
from focushub_core.settings import Secret
from focushub_core.telemetry import explain
from focushub_core.telemetry.tracing import Tracer


class Observer:
    """For the part that is called ``name``. ``secret`` is the operator's; ``tracer`` records spans."""

    def __init__(self, name: str, secret: Secret | None, tracer: Tracer | None) -> None:
        self._name = name
        self._secret = secret
        self._tracer = tracer

    def look_on(self, engine: Engine) -> None:
        """Be asked about its requests."""
        engine.witness = self
        engine.watched = WATCHED if self._tracer is None else None

    def __call__(self, head: RequestHead, request_id: str, now: float) -> Witness | None:
        """Who wants to know of this request."""
        both = (self._explaining(head, now), traced.witness_of(head, request_id, self._tracer))
        wanting = [witness for witness in both if witness is not None]
        return Several(wanting) if len(wanting) > 1 else wanting[0] if wanting else None

    def _explaining(self, head: RequestHead, now: float) -> Witness | None:
        if b"x-explain" not in head.fields.meant:
            return None
        given = head.fields.first(b"x-explain")
        if given is None or not explain.is_wanted(given, self._secret):
            return None
        return Explaining(self._name, given.encode("latin-1"), now)
