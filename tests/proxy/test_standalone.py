"""`focushub balance`: every path goes to the upstreams."""

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from focushub_core import ConfigurationError
from focushub_core.proxy.loadbalancer import LoadBalancerSettings
from focushub_core.proxy.standalone import StandaloneBalancer, address


async def echo(request):
    return web.Response(text=f"{request.method} {request.raw_path}")


@pytest.mark.parametrize("path", ["/", "/anything?q=1", "/v1/x", "/internal"])
async def test_every_path_is_forwarded(path):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    async with TestServer(app) as upstream:
        settings = LoadBalancerSettings(
            port=0, gateway_urls=(str(upstream.make_url("")),), balancer_policy="least-requests"
        )
        balancer = StandaloneBalancer(settings)
        await balancer.listen()
        async with ClientSession(balancer.url) as client, client.post(path) as response:
            assert await response.text() == f"POST {path}"
        await balancer.stop(0)


@pytest.mark.parametrize(
    ("text", "expected"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8080", ("[::1]", 8080))]
)
def test_an_address_is_a_host_and_a_port(text, expected):
    assert address(text) == expected


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:0", "host:65536", "host:x", "host:٣"])
def test_anything_else_says_what_an_address_looks_like(text):
    with pytest.raises(ConfigurationError, match="is not HOST:PORT"):
        address(text)
