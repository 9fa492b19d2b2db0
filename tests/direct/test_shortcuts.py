"""What a shortcut finds is what aiohttp finds; where that is not sure, it finds nothing."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.direct.shortcuts import Shortcuts

SEGMENTS = ["v1", "notes", "today", "{id}", "{other}", "{n:[0-9]+}", "{rest:.*}"]
WORDS = ["v1", "notes", "today", "7", "", "a%20b", "ä", "{id}"]


async def handle(_: web.Request) -> web.Response:
    return web.Response()


def template(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    return route.resource.canonical


def application(*routes: tuple[str, str]) -> web.Application:
    app = web.Application()
    for method, path in routes:
        app.router.add_route(method, path, handle)
    return app


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/v1/notes", ("/v1/notes", {})),
        ("/v1/notes?limit=20", ("/v1/notes", {})),
        ("/v1/notes/7", ("/v1/notes/{id}", {"id": "7"})),
        ("/v1/notes/today", ("/v1/notes/today", {})),
        ("/v1/notes/", None),
        ("/v1/notes/7/labels", None),
        ("/v1/notes/a%20b", None),
        ("http://127.0.0.1/v1/notes", None),
    ],
)
def test_paths_and_one_variable_at_the_end_are_found(
    target: str, found: tuple[str, dict[str, str]] | None
) -> None:
    app = application(("GET", "/v1/notes"), ("GET", "/v1/notes/{id}"), ("GET", "/v1/notes/today"))
    assert Shortcuts(app, template).find(b"GET", target.encode()) == found


@pytest.mark.parametrize("second", [("*", "/v1/notes/today"), ("GET", "/v1/notes/today")])
def test_a_path_with_two_routes_is_left_to_aiohttp_and_taken_by_no_variable(second: tuple[str, str]) -> None:
    """As the kit makes them: what a path answers to its methods, and 405 to all others."""
    app = application(("GET", "/v1/notes/today"), ("GET", "/v1/notes/{id}"), second)
    assert Shortcuts(app, template).find(b"GET", b"/v1/notes/today") is None


def test_a_path_for_every_method_is_left_to_aiohttp_and_taken_by_no_variable() -> None:
    app = application(("*", "/v1/notes/today"), ("GET", "/v1/notes/{id}"))
    assert Shortcuts(app, template).find(b"GET", b"/v1/notes/today") is None


@pytest.mark.parametrize("path", ["/v1/two words", "/v1/ä", "/v1/ä/{id}"])
def test_a_path_that_is_not_plain_is_left_to_aiohttp(path: str) -> None:
    """It may be written in more than one way."""
    app = application(("GET", path))
    for written in (path.encode(), next(iter(app.router.resources())).canonical.encode()):
        assert Shortcuts(app, template).find(b"GET", written.replace(b"{id}", b"7")) is None


def test_another_method_is_left_to_aiohttp() -> None:
    """It knows how to answer 405."""
    assert Shortcuts(application(("GET", "/v1/notes")), template).find(b"PUT", b"/v1/notes") is None


def test_a_resource_of_ones_own_is_left_to_aiohttp() -> None:
    class Own(web.PlainResource):
        """May look at more than the path."""

    app = web.Application()
    own = Own("/v1/notes")
    app.router.register_resource(own)
    own.add_route("GET", handle)
    assert Shortcuts(app, template).find(b"GET", b"/v1/notes") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "*"]), st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3)
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["GET", "POST"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
def test_whatever_the_routes_both_find_the_same(
    routes: list[tuple[str, list[str]]], method: str, words: list[str]
) -> None:
    app = web.Application()
    for verb, segments in routes:
        try:
            app.router.add_route(verb, "/" + "/".join(segments), handle)
        except (ValueError, RuntimeError):  # one name twice in a path, one method twice
            continue
    path = "/" + "/".join(words)
    got = Shortcuts(app, lambda route: route).find(method.encode(), path.encode())
    if got is None:
        return
    resolving = app.router.resolve(make_mocked_request(method, path))
    with pytest.raises(StopIteration) as ended:
        resolving.send(None)
    match = ended.value.value
    assert got == (match.route, dict(match))
