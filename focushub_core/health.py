"""Is this part fit for work? One list of checks, three answers.

Rules that hold here:

* ``/livez`` says that the process runs: no dependency is asked, or a database's outage would restart every service.
* ``/readyz`` says that it should be given work: 503 when a needed dependency is gone or the process drains.
* ``/health`` says the same for people and for monitors, with the fields the contract names.
* A check has a deadline; one that does not answer by it has failed: a dependency that hangs is gone.
* A resource registers its own check; nothing here knows what a database is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from focushub_core.errors import FocusHubError

DEADLINE = 1.0
"""Seconds that a check may take."""

_log = logging.getLogger(__name__)


class Check(msgspec.Struct, frozen=True):
    """Asks one dependency. ``probe`` raises `FocusHubError` or `OSError` when it is not there.

    ``required=False``: without it the part degrades but works, so it is shown and not counted. ``words`` are what
    `/health` says of it: (there, gone).
    """

    name: str
    probe: Callable[[], Awaitable[object]]
    required: bool = True
    words: tuple[str, str] = ("connected", "disconnected")


class Finding(msgspec.Struct, frozen=True):
    """What a check found."""

    check: Check
    ok: bool
    reason: str = ""

    @property
    def word(self) -> str:
        """The state as `/health` says it."""
        there, gone = self.check.words
        return there if self.ok else gone


class Report(msgspec.Struct, frozen=True):
    """All findings at one moment, and what follows from them."""

    service: str
    findings: tuple[Finding, ...]
    draining: bool = False

    @property
    def healthy(self) -> bool:
        """Whether every needed dependency is there."""
        return all(finding.ok for finding in self.findings if finding.check.required)

    @property
    def ready(self) -> bool:
        """Whether to send work here."""
        return self.healthy and not self.draining

    def health(self, now: datetime, version: str) -> dict[str, object]:
        """The body of ``/health``: status, service, one word per dependency, timestamp."""
        body: dict[str, object] = {
            "status": "healthy" if self.healthy else "unhealthy",
            "service": self.service,
        }
        body.update({finding.check.name: finding.word for finding in self.findings})
        body["timestamp"] = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body["version"] = version
        return body

    def readiness(self, shown: Mapping[str, Callable[[], object]] | None) -> dict[str, object]:
        """The body of ``/readyz``: a word, and for who asks (``?verbose``) the checks and what is ``shown``."""
        status = "ready" if self.ready else "unready"
        if shown is None:
            return {"status": status}
        checks = {
            finding.check.name: {
                "status": finding.word,
                "required": finding.check.required,
                **({"reason": finding.reason} if finding.reason else {}),
            }
            for finding in self.findings
        }
        states = {name: state() for name, state in shown.items()}
        return {"status": status, "draining": self.draining, "checks": checks, **states}


async def examine(checks: Sequence[Check], *, deadline: float = DEADLINE) -> tuple[Finding, ...]:
    """Runs all checks at once, each for at most ``deadline`` seconds."""
    return tuple(await asyncio.gather(*(_run(check, deadline) for check in checks)))


async def _run(check: Check, deadline: float) -> Finding:
    try:
        async with asyncio.timeout(deadline):
            await check.probe()
    except TimeoutError:
        return Finding(check, ok=False, reason=f"no answer within {deadline:g} s")
    except (FocusHubError, OSError) as error:
        _log.debug("check failed", exc_info=True, extra={"check": check.name})
        return Finding(check, ok=False, reason=str(error))
    return Finding(check, ok=True)
