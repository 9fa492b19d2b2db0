"""How long, how much and how slow."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 64 * 1024
"""Bytes of a body, of a request's or an answer's, that are read whole before anything is sent on."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, except for ``body_rate``.

    Towards upstreams: ``connect_s`` for a connection; ``answer_s`` from the request's last byte to the answer's
    head, and its body if that is small, retries included; ``idle_s`` for the next bytes of a streamed answer, and
    for a client to take some; ``kept_s`` that an idle connection is kept. It is below what servers commonly
    allow (Node.js and uvicorn 5 s), so that seldom one is closed just when it is used again.

    Towards clients: ``head_s`` for a head; ``body_rate`` bytes a second that a body must bring, with
    ``body_grace_s`` of silence forgiven; ``keep_alive_s`` for the next request.
    """

    connect_s: float = 1.0
    answer_s: float = 30.0
    idle_s: float = 60.0
    kept_s: float = 4.0
    head_s: float = 10.0
    body_rate: float = 500.0
    body_grace_s: float = 10.0
    keep_alive_s: float = 75.0
    linger_s: float = 2.0
