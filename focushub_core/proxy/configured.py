"""What a part that forwards can be told."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from focushub_core.proxy.engine.limits import Timeouts
from focushub_core.settings import Settings

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class ProxySettings(Settings, frozen=True, kw_only=True):
    """The settings of the balancer and of a gateway alike; `Settings` says how they are read."""

    trusted_proxies: str = ""
    """Networks whose ``X-Forwarded-*`` counts, such as ``10.0.0.0/8, 127.0.0.1``; none by default."""
    balancer_policy: Literal["round-robin", "least-requests"] = "round-robin"
    check_path: str = "/readyz"
    check_interval_s: Seconds = 2.0
    check_timeout_s: Seconds = 1.0
    resolve_interval_s: Seconds = 5.0
    """Between two look-ups of a name."""
    connect_timeout_s: Seconds = 1.0
    answer_timeout_s: Seconds = 30.0

    @property
    def timeouts(self) -> Timeouts:
        """How long upstreams may take."""
        return Timeouts(connect_s=self.connect_timeout_s, answer_s=self.answer_timeout_s)
