"""Which targets are passed on."""

from __future__ import annotations

import pytest

from focushub_core.proxy.targets import path_of, under


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/v1/tasks", "/v1/tasks"),
        ("/v1/tasks?next=/../x%2f", "/v1/tasks"),
        ("/v1/a.b/..c/c../...", "/v1/a.b/..c/c../..."),
        ("/.well-known/jwks.json", "/.well-known/jwks.json"),
        ("/v1/%C3%A9", "/v1/%C3%A9"),
        ("/v1//tasks", "/v1//tasks"),
    ],
)
def test_a_plain_path_passes(target: str, path: str) -> None:
    assert path_of(target) == path


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "v1/tasks",
        "//evil.example/v1",
        "http://example.com/v1",
        "/v1/../internal",
        "/v1/..",
        "/v1/.",
        "/v1/./tasks",
        "/v1/%2e%2e/internal",
        "/v1/.%2E/internal",
        "/v1/%2e",
        "/v1/..?x",
        "/v1%2f..%2finternal",
        "/v1/..%2finternal",
        "/v1/a%2fb",
        "/v1/..\\internal",
        "/v1/%5c",
        "/v1/x#fragment",
        "/v1/x%00",
        "/v1/x y",
        "/v1/\x01",
    ],
)
def test_a_path_that_two_servers_could_read_differently_is_refused(target: str) -> None:
    assert path_of(target) is None


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("/v1", "/v1", True),
        ("/v1/", "/v1", True),
        ("/v1/tasks", "/v1", True),
        ("/v10", "/v1", False),
        ("/", "/v1", False),
        ("/v1", "/", True),
        ("/internal/v1", "/v1", False),
    ],
)
def test_a_prefix_is_of_whole_segments(path: str, prefix: str, expected: bool) -> None:
    assert under(path, prefix) is expected
