"""Which service a path belongs to."""

import pytest

from focushub_core.gateway.routes import RouteTable
from focushub_core.stack import ServiceEntry

AUTH = ServiceEntry("auth", 3001, ("/v1/auth", "/v1/me", "/.well-known"), public=("/v1/auth", "/.well-known"))
TASK = ServiceEntry("task", 3002, ("/v1/tasks", "/v1/projects"), day_aware=("/v1/tasks/today",))
TABLE = RouteTable([AUTH, TASK])


@pytest.mark.parametrize(
    ("path", "service", "public", "day_aware"),
    [
        ("/v1/tasks", "task", False, False),
        ("/v1/tasks/today", "task", False, True),
        ("/v1/tasks/todays", "task", False, False),
        ("/v1/auth/login", "auth", True, False),
        ("/.well-known/jwks.json", "auth", True, False),
        ("/v1/me", "auth", False, False),
        ("/v1/me/sessions/1", "auth", False, False),
    ],
)
def test_a_path_goes_to_the_service_of_its_prefix(path, service, public, day_aware):
    match = TABLE.match(path.encode())
    assert (match.service.key, match.public, match.day_aware) == (service, public, day_aware)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/tasksheet", "/v1/task", "/internal", "/internal/tokens", "/V1/tasks"]
)
def test_a_path_of_nobody_is_not_routed(path):
    assert TABLE.match(path.encode()) is None


def test_internal_paths_are_never_routed_even_if_a_service_claims_them():
    assert RouteTable([ServiceEntry("x", 1, ("/internal",))]).match(b"/internal/tokens") is None


def test_the_longest_prefix_wins():
    table = RouteTable([ServiceEntry("a", 1, ("/v1",)), ServiceEntry("b", 2, ("/v1/b",))])
    assert [table.match(path.encode()).service.key for path in ("/v1/a", "/v1/b", "/v1/b/c")] == [
        "a",
        "b",
        "b",
    ]
