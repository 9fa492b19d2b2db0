"""The API as others know it."""

from pathlib import Path

from focushub_core.testing.documents import require_snapshot
from task_service.service import TaskService


def test_the_api_is_the_one_that_was_committed():
    """To renew it: `focushub openapi --service task-service > task-service/openapi.json` in the stack's folder."""
    require_snapshot(TaskService, Path(__file__).parents[1] / "openapi.json")
