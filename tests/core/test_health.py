"""Is this part fit for work?"""

import asyncio
from datetime import UTC, datetime

import pytest

from focushub_core import Check, Unavailable
from focushub_core.health import Finding, Report, examine


async def there():
    pass


async def gone():
    raise Unavailable("refused")


async def hanging():
    await asyncio.Event().wait()


DATABASE = Check("database", there)
CACHE = Check("cache", gone, required=False)


@pytest.mark.parametrize(
    ("findings", "draining", "healthy", "ready"),
    [
        ([], False, True, True),
        ([Finding(DATABASE, ok=True)], False, True, True),
        ([Finding(DATABASE, ok=False)], False, False, False),
        ([Finding(CACHE, ok=False)], False, True, True),
        ([Finding(DATABASE, ok=True)], True, True, False),
    ],
)
def test_needed_dependencies_decide_and_draining_takes_readiness_only(findings, draining, healthy, ready):
    report = Report("x", tuple(findings), draining)
    assert (report.healthy, report.ready) == (healthy, ready)


def test_health_has_the_fields_of_the_contract():
    report = Report("task-service", (Finding(DATABASE, ok=False),))
    now = datetime(2026, 1, 18, 2, 50, 14, tzinfo=UTC)
    assert report.health(now, "0.1.0") == {
        "status": "unhealthy",
        "service": "task-service",
        "database": "disconnected",
        "timestamp": "2026-01-18T02:50:14.000Z",
        "version": "0.1.0",
    }


async def test_a_check_that_hangs_has_failed_at_its_deadline():
    findings = await examine([DATABASE, CACHE, Check("slow", hanging)], deadline=0.01)
    assert [(finding.check.name, finding.ok) for finding in findings] == [
        ("database", True),
        ("cache", False),
        ("slow", False),
    ]
    assert findings[2].reason == "no answer within 0.01 s"
