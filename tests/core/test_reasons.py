"""What statuses are called, whatever Python it is."""

from http import HTTPStatus

import pytest

from focushub_core import errors
from focushub_core.reasons import reason

RENAMED = {413, 414, 416, 418, 422, 425, 505, 203}  # since 3.13, or written otherwise


def kinds(kind: type[errors.FocusHubError] = errors.FocusHubError) -> list[type[errors.FocusHubError]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *kinds(sub))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == errors.__name__])
def test_every_error_has_a_status_with_a_name(kind: type[errors.FocusHubError]) -> None:
    assert reason(kind.status)


@pytest.mark.parametrize(
    "status", [status for status in HTTPStatus if reason(status) and status not in RENAMED]
)
def test_the_names_are_those_of_the_registry(status: HTTPStatus) -> None:
    assert reason(status) == status.phrase


def test_what_has_no_name_is_empty() -> None:
    assert reason(299) == ""
