"""W3C trace context: what is taken up, what is refused, and what goes on. Section numbers are the recommendation's."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.telemetry import logs, trace
from focushub_core.telemetry.access import AccessLog

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize("flags", ["00", "01", "03", "ff"])
def test_a_valid_parent_is_taken_up_with_any_flags(flags: str) -> None:
    found = trace.take_up([f"00-{TRACE}-{PARENT}-{flags}"])
    assert found is not None
    assert (found.trace_id, found.span_id, found.flags) == (TRACE, PARENT, int(flags, 16))


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_this_one_goes(more: str) -> None:
    """Section 3.2.4."""
    found = trace.take_up([f"cc-{TRACE}-{PARENT}-01{more}"])
    assert found is not None
    assert (found.trace_id, found.span_id) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "said",
    [
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"0A-{TRACE}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT[1:]}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01 ",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"cc-{TRACE}-{PARENT}-01-ü",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"{VALID},{VALID}",
    ],
)
def test_what_is_not_valid_is_not_taken_up(said: str) -> None:
    assert trace.take_up([said], ["a=1"]) is None


def test_a_parent_that_came_twice_is_none() -> None:
    assert trace.take_up([VALID, VALID]) is None
    assert trace.take_up([]) is None


@given(st.text(alphabet="0123456789abcdefABCDEF-g ", max_size=60))
def test_what_is_taken_up_has_the_form_of_the_recommendation(said: str) -> None:
    found = trace.take_up([said])
    if found is not None:
        version, trace_id, parent, flags, *_ = said.split("-")
        assert (len(version), len(trace_id), len(parent), len(flags)) == (2, 32, 16, 2)
        assert said.lower() == said
        assert version != "ff"
        assert int(trace_id, 16)
        assert int(parent, 16)


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        (["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (["a=1", "b=2, c=3 "], "a=1,b=2,c=3"),
        (["a=1,,b=2\t,"], "a=1,b=2"),
        (["fw529a3039@dt=FfAAAAAA", "z*/-_9=x"], "fw529a3039@dt=FfAAAAAA,z*/-_9=x"),
        (["a=with space inside"], "a=with space inside"),
        ([",".join(f"k{n}=1" for n in range(32))], ",".join(f"k{n}=1" for n in range(32))),
        ([",".join(f"k{n}=1" for n in range(33))], ""),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a=1=2"], ""),
        (["a="], ""),
        (["=1"], ""),
        (["a"], ""),
        (["a=ü"], ""),
        (["a=1", "b"], ""),
        (["9a=1"], ""),
        (["a" * 257 + "=1"], ""),
        (["a=" + "1" * 257], ""),
        ([""], ""),
    ],
)
def test_the_state_is_one_list_or_nothing(came: list[str], goes: str) -> None:
    """Section 3.3: a list that cannot be read goes no further, and harms the parent not."""
    found = trace.take_up([VALID], came)
    assert found is not None
    assert found.fields() == {"traceparent": VALID, **({"tracestate": goes} if goes else {})}


def test_who_has_no_trace_sends_none() -> None:
    assert trace.fields() == {}
    with trace.calling("GET", "http://127.0.0.1/") as call:
        assert call.fields == {}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = before
    logging.captureWarnings(False)


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_trace_stands_in_every_line_of_its_request(stream: io.StringIO, as_json: bool) -> None:
    logs.configure("lamp", as_json=as_json, stream=stream)
    token = trace.current.set(trace.take_up([VALID]))
    try:
        logging.getLogger("x").info("lit")
    finally:
        trace.current.reset(token)
    log = AccessLog("lamp")
    log.write("GET", "/", "/", 200, 0.001, "abcdefgh", TRACE)
    log.write("GET", "/", "/", 200, 0.001, "abcdefgh")
    log.flush()
    lines = stream.getvalue().splitlines()

    if as_json:
        assert [json.loads(line).get("trace_id") for line in lines] == [TRACE, TRACE, None]
    else:
        assert [line.endswith(f" trace_id={TRACE}") for line in lines] == [True, True, False]
