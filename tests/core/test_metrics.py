"""What a part tells Prometheus of itself, beside its requests."""

from __future__ import annotations

import re
import sys

import pytest
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import Check, Unavailable
from focushub_core.settings import Settings
from focushub_core.web import WebPart


class Lamp(WebPart):
    """A part that needs a bulb and would like a shade; both are asked at every look."""

    name = "lamp"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.bulb_is_there = True
        self.checks += [Check("bulb", self._bulb), Check("shade", self._shade, required=False)]

    async def _bulb(self) -> None:
        if not self.bulb_is_there:
            raise Unavailable("dark")

    async def _shade(self) -> None:
        raise Unavailable("bare")


async def shown(lamp: Lamp) -> str:
    async with TestClient(TestServer(lamp.application())) as client, client.get("/metrics") as response:
        assert response.status == 200
        return await response.text()


async def test_dependencies_are_asked_when_prometheus_asks() -> None:
    lamp = Lamp()
    assert 'dependency_up{dependency="bulb",required="yes"} 1.0' in await shown(lamp)
    lamp.bulb_is_there = False
    after = await shown(lamp)
    assert 'dependency_up{dependency="bulb",required="yes"} 0.0' in after
    assert 'dependency_up{dependency="shade",required="no"} 0.0' in after


async def test_draining_is_shown() -> None:
    lamp = Lamp()
    assert "part_draining 0.0" in await shown(lamp)
    lamp.draining = True
    assert "part_draining 1.0" in await shown(lamp)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
async def test_the_process_shows_its_memory_and_when_it_began() -> None:
    """A part that starts again and again is seen by its changing start."""
    text = await shown(Lamp())
    memory = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert memory is not None
    assert float(memory[1]) > 1e6
    assert re.search(r"^process_start_time_seconds \d", text, re.MULTILINE)
