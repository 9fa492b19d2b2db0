"""``/docs`` on real sockets: the same page at a service and at the gateway, and nothing but its own files."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import Service, get
from focushub_core.gateway import Gateway, GatewaySettings
from focushub_core.http.docs import ApiPage
from focushub_core.http.docs.page import ASSETS, PATH, accepts_gzip
from focushub_core.service import ServiceSettings
from focushub_core.stack import parse

STACK = parse(
    '[stack]\nname = "shop"\n[services.task]\nport = 3002\nprefixes = ["/v1/tasks"]\n', Path("/nowhere")
)
FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "page.js": "text/javascript",
    "page.css": "text/css",
}
PACKED = [name for name in FILES if name.startswith("swagger-ui")]


class Plain(Service):
    name = "plain-service"

    @get("/v1/plain")
    async def read(self) -> dict[str, int]:
        return {"n": 1}


@asynccontextmanager
async def service(**settings: Any) -> AsyncIterator[str]:
    """A running service; gives its address."""
    async with TestServer(Plain(ServiceSettings(**settings)).application()) as server:
        yield str(server.make_url("/"))


@asynccontextmanager
async def gateway(**settings: Any) -> AsyncIterator[str]:
    """A running gateway, whose services are away."""
    part = Gateway(GatewaySettings(auth_jwks_url="unused", port=0, **settings), stack=STACK)
    await part.listen()
    try:
        yield part.url
    finally:
        await part.stop(1.0)


@pytest_asyncio.fixture(params=[service, gateway])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ClientSession]:
    """A client that unpacks nothing by itself."""
    async with request.param() as url, ClientSession(url, auto_decompress=False) as running:
        yield running


async def read(client: ClientSession, path: str, **fields: str) -> tuple[ClientResponse, bytes]:
    fields = {"Accept-Encoding": "gzip", **{name.replace("_", "-"): text for name, text in fields.items()}}
    async with client.get(path, headers=fields, allow_redirects=False) as response:
        return response, await response.read()


async def addresses(client: ClientSession) -> dict[str, str]:
    """The page's files, by name, as the page names them."""
    _, body = await read(client, PATH)
    found = re.findall(r'(?:href|src)="(docs/([^"?]+)\?[^"]+)"', body.decode())
    return {name: f"/{address}" for address, name in found}


# The page ---------------------------------------------------------------------------------------------------


async def test_the_page_names_its_api_and_its_files_and_no_other_origin(client: ClientSession) -> None:
    response, body = await read(client, PATH)
    page = body.decode()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert re.search(r"<title>(.*): API</title>", page)[1] in ("plain-service", "shop")  # type: ignore[index]
    assert set(await addresses(client)) == set(FILES)
    assert re.findall(r"(?:href|src)=\"(?!docs/|#|data:|openapi\.json\")", page) == []


async def test_a_browser_may_ask_nobody_else_and_run_nothing_that_stands_in_the_page(
    client: ClientSession,
) -> None:
    for path in (PATH, *(await addresses(client)).values()):
        response, _ = await read(client, path)
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_it_has_one_address(client: ClientSession) -> None:
    response, _ = await read(client, f"{PATH}/")
    assert (response.status, response.headers["Location"]) == (308, "../docs")
    async with client.get(f"{PATH}/") as page:
        assert (page.status, page.url.path) == (200, PATH)


@pytest.mark.parametrize("part", [service, gateway])
async def test_a_setting_leaves_it_out_and_the_document_in(part: Any) -> None:
    async with part(docs_page=False) as url, ClientSession(url) as client:
        assert (await client.get(PATH)).status == (await client.get(f"{PATH}/page.js")).status == 404
        assert (await client.get("/openapi.json")).status == 200


@pytest.mark.parametrize("part", [service, gateway])
async def test_it_is_there_in_production_too(part: Any) -> None:
    async with part(focushub_env="production") as url, ClientSession(url) as client:
        assert (await client.get(PATH)).status == 200


# Its files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_what_lies_there(client: ClientSession, name: str) -> None:
    response, body = await read(client, (await addresses(client))[name])
    assert (response.status, response.headers["Content-Type"]) == (200, f"{FILES[name]}; charset=utf-8")
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers.get("Content-Encoding") == ("gzip" if name in PACKED else None)
    assert body == (ASSETS / (f"{name}.gz" if name in PACKED else name)).read_bytes()


@pytest.mark.parametrize("name", PACKED)
async def test_who_does_not_read_gzip_gets_it_unpacked_under_another_tag(
    client: ClientSession, name: str
) -> None:
    packed, body = await read(client, f"{PATH}/{name}")
    plain, unpacked = await read(client, f"{PATH}/{name}", Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(body) == unpacked
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again, nothing = await read(
        client, f"{PATH}/{name}", Accept_Encoding="identity", If_None_Match=plain.headers["ETag"]
    )
    assert (again.status, nothing) == (304, b"")


@pytest.mark.parametrize("path", [PATH, *(f"{PATH}/{name}" for name in FILES)])
async def test_what_has_not_changed_is_not_sent_again(client: ClientSession, path: str) -> None:
    first, _ = await read(client, path)
    for field in (first.headers["ETag"], f'"other", W/{first.headers["ETag"]}', "*"):
        again, body = await read(client, path, If_None_Match=field)
        assert (again.status, body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (await read(client, path, If_None_Match='"other"'))[0].status == 200


async def test_only_an_address_with_the_files_own_digest_is_kept_for_ever(
    client: ClientSession,
) -> None:
    """A page of another version, from another replica, must not be given this one's file for a year."""
    assert (await read(client, PATH))[0].headers["Cache-Control"] == "no-cache"
    for name, address in (await addresses(client)).items():
        kept, _ = await read(client, address)
        assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        for other in (f"{PATH}/{name}", f"{PATH}/{name}?v=0", f"{PATH}/{name}?v="):
            assert (await read(client, other))[0].headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", [PATH, *(f"{PATH}/{name}" for name in FILES)])
async def test_head_says_what_get_would(client: ClientSession, path: str) -> None:
    got, body = await read(client, path)
    async with client.head(path, headers={"Accept-Encoding": "gzip"}) as head:
        assert (head.status, await head.read()) == (200, b"")
        for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Security-Policy"):
            assert head.headers[name] == got.headers[name]
        assert head.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "path",
    [
        "/docs/page.html",
        "/docs/VERSION",
        "/docs/swagger-ui.css.gz",
        "/docs/page.js/",
        "/docs/../page.py",
        "/docs/..%2fpage.py",
        "/docs/%2e%2e/page.py",
        "/docs/..%5cpage.py",
        "/docs//etc/passwd",
        "/docs/%2fetc/passwd",
        "/docs/page.js%00",
        "/docs/sub/page.js",
    ],
)
async def test_no_other_file_is_there(client: ClientSession, path: str) -> None:
    """Sent as it is written: a client of a library would tidy such paths up."""
    async with client.get("/livez") as alive:
        port = alive.url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"400", b"404"), answer
    assert b"application/problem+json" in head
    assert b"import" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_is_only_read(client: ClientSession, method: str) -> None:
    async with client.request(method, PATH) as response:
        assert response.status in (404, 405)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("gzip", True),
        ("br, gzip", True),
        ("gzip;q=0.5", True),
        ("GZIP ; q=1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("br", False),
        ("", False),
    ],
)
def test_gzip_is_for_who_takes_it(field: str, expected: bool) -> None:
    assert accepts_gzip(field) is expected


# What it costs, and whose it is -----------------------------------------------------------------------------


def test_a_part_that_nobody_asks_reads_no_file() -> None:
    """So at rest there is nothing of it in memory."""
    program = (
        "import sys; opened = []\n"
        "from focushub_core import Service; from focushub_core.service import ServiceSettings\n"
        "class Idle(Service): name = 'idle'\n"
        "sys.addaudithook(lambda event, found: event == 'open' and opened.append(str(found[0])))\n"
        "Idle(ServiceSettings()).application()\n"
        "sys.exit(any('assets' in name for name in opened))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_what_is_others_comes_with_their_licences() -> None:
    assert "Apache License" in (ASSETS / "LICENSE-swagger-ui.txt").read_text("utf-8")
    assert "SmartBear" in (ASSETS / "NOTICE-swagger-ui.txt").read_text("utf-8")
    assert "DOMPurify" in (ASSETS / "LICENSE-swagger-ui-bundle.txt").read_text("utf-8")


def test_the_scripts_are_those_of_the_version_that_is_named() -> None:
    """A change of one without the other is a change that nobody meant: `.ci/swagger_ui.py` writes both."""
    version, _, *sums = (ASSETS / "VERSION").read_text("utf-8").splitlines()
    assert version.startswith("swagger-ui-dist 5.")
    found = {name: gzip.decompress((ASSETS / f"{name}.gz").read_bytes()) for name in PACKED}
    assert sums == [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in found.items()]


async def test_a_title_is_text() -> None:
    app = web.Application()
    ApiPage("<b>& co").add_to(app)
    async with TestClient(TestServer(app)) as client:
        assert "<title>&lt;b&gt;&amp; co: API</title>" in await (await client.get(PATH)).text()


def test_its_routes_can_be_had_one_by_one() -> None:
    """For an application that is none of aiohttp's."""
    assert [path for path, _ in ApiPage("shop").routes()] == [
        PATH,
        f"{PATH}/",
        *(f"{PATH}/{name}" for name in FILES),
    ]
