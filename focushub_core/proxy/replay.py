"""Which requests may be sent twice, since they act once.

Rules that hold here:

* RFC 9110 section 9.2.2: GET, HEAD, OPTIONS, PUT and DELETE are idempotent by what they mean.
* A POST is so where its service says it keeps idempotency keys, and the request has one. A key that ``Connection``
  names does not go on to the service (RFC 9110 section 7.6.1), and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from focushub_core.balancer.retry import IDEMPOTENT
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.targets import under

KEY = b"idempotency-key"
_IDEMPOTENT = frozenset(method.encode() for method in IDEMPOTENT)


def replayable(head: RequestHead, keyed: Iterable[str]) -> bool:
    """Whether the request acts once, however often it is sent; ``keyed`` are paths below which keys are kept."""
    if head.method in _IDEMPOTENT:
        return True
    if head.method != b"POST" or KEY in head.options:
        return False
    if KEY not in head.fields.meant:
        return False
    path = head.target.partition(b"?")[0].decode("ascii", "replace")
    return any(under(path, prefix) for prefix in keyed)
