"""The API as others know it."""

from pathlib import Path

from focushub_core.testing.documents import require_snapshot
from habit_service.service import HabitService


def test_the_api_is_the_one_that_was_committed():
    """To renew it: `focushub openapi --service habit-service > habit-service/openapi.json` in the stack's folder."""
    require_snapshot(HabitService, Path(__file__).parents[1] / "openapi.json")
