"""The API as others know it."""

from pathlib import Path

from focus_service.service import FocusService
from focushub_core.testing.documents import require_snapshot


def test_the_api_is_the_one_that_was_committed():
    """To renew it: `focushub openapi --service focus-service > focus-service/openapi.json` in the stack's folder."""
    require_snapshot(FocusService, Path(__file__).parents[1] / "openapi.json")
