"""The page at ``/docs`` and its files: Swagger UI, with a login of its own (docs/decisions/api-page.md).

Rules that hold here:

* The page asks nobody but its own origin, and its Content-Security-Policy says so to the browser.
* The files that there are have a route each; no path of a request ever names a file.
* A file whose address has its digest (``?v=``) may be kept for ever. Under any other address the browser asks
  again, and so it does for the page: two replicas of different versions never leave one with the other's file.
* At rest nothing is held but digests. A file is read when it is asked for, and the large ones lie here packed.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from functools import cached_property
from html import escape
from pathlib import Path
from string import Template

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core.http.conditional import digest_tag, names

PATH = "/docs"
ASSETS = Path(__file__).parent / "assets"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ASK_AGAIN = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


class Asset:
    """A file of `ASSETS` by its name, there as it is or packed (``name.gz``)."""

    def __init__(self, name: str, content_type: str) -> None:
        self.name = name
        self._content_type = content_type
        packed = ASSETS / f"{name}.gz"
        self._is_packed = packed.exists()
        self._file = packed if self._is_packed else ASSETS / name

    @cached_property
    def tag(self) -> str:
        """The entity tag of what lies in the file; reads it the first time."""
        return digest_tag(self._file.read_bytes())

    @property
    def version(self) -> str:
        """The tag as it stands in an address."""
        return self.tag.strip('"')

    async def answer(self, request: web.Request) -> web.Response:
        """The file, or 304; packed for who reads that."""
        tag = await asyncio.to_thread(lambda: self.tag)
        packed = self._is_packed and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        if self._is_packed and not packed:
            tag = f'"{self.version}-plain"'
        fields = {
            **SAFE,
            "Cache-Control": FOR_EVER if request.query.get("v") == self.version else ASK_AGAIN,
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        if names(request.headers.get("If-None-Match", ""), tag):
            return web.Response(status=304, headers=fields)
        if packed:
            fields["Content-Encoding"] = "gzip"
        body = await asyncio.to_thread(self._read, packed)
        return web.Response(body=body, headers=fields, content_type=self._content_type, charset="utf-8")

    def _read(self, as_it_lies: bool) -> bytes:
        content = self._file.read_bytes()
        return content if as_it_lies or not self._is_packed else gzip.decompress(content)


class ApiPage:
    """The page of an API called ``title``; its document is ``/openapi.json`` beside it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._assets = [
            Asset("swagger-ui-bundle.js", "text/javascript"),
            Asset("swagger-ui.css", "text/css"),
            Asset("page.js", "text/javascript"),
            Asset("page.css", "text/css"),
        ]

    def add_to(self, app: web.Application) -> None:
        """Adds `routes`; they answer HEAD as well."""
        for path, handler in self.routes():
            app.router.add_get(path, handler)

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Paths and what answers them, each in one piece."""
        yield PATH, self._answer
        yield f"{PATH}/", _without_slash
        for asset in self._assets:
            yield f"{PATH}/{asset.name}", asset.answer

    async def _answer(self, request: web.Request) -> web.Response:
        body = await asyncio.to_thread(self._page)
        fields = {**SAFE, "Cache-Control": ASK_AGAIN, "ETag": digest_tag(body)}
        if names(request.headers.get("If-None-Match", ""), fields["ETag"]):
            return web.Response(status=304, headers=fields)
        return web.Response(body=body, headers=fields, content_type="text/html", charset="utf-8")

    def _page(self) -> bytes:
        template = Template((ASSETS / "page.html").read_text("utf-8"))
        addresses = {
            asset.name.replace("-", "_").replace(".", "_"): f"docs/{asset.name}?v={asset.version}"
            for asset in self._assets
        }
        return template.substitute(addresses, title=escape(self._title)).encode()


def accepts_gzip(field: str) -> bool:
    """Whether an ``Accept-Encoding`` field (RFC 9110, 12.5.3) takes gzip, by its name or by ``*``."""
    weights = {}
    for item in field.lower().split(","):
        coding, _, parameter = item.partition(";")
        weights[coding.strip()] = parameter.strip().replace(" ", "")
    found = weights.get("gzip", weights.get("*"))
    return found is not None and found.rstrip("0") not in ("q=", "q=0.", "q=.")


async def _without_slash(_: web.Request) -> web.Response:
    """The page's links are relative, so that it has one address."""
    return web.Response(status=308, headers={"Location": f"..{PATH}"})
