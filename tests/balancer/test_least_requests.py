"""Least requests: the fewest running for its weight, of equals by turns."""

from collections import Counter

from focushub_core.balancer import LeastRequests, Upstream


def upstreams(*running: int) -> list[Upstream]:
    return [Upstream(f"http://{number}", in_flight=count) for number, count in enumerate(running)]


def test_the_one_with_the_fewest_requests_is_taken():
    busy = upstreams(3, 1, 2)
    assert LeastRequests().choose(busy) is busy[1]


def test_equals_are_taken_by_turns():
    policy, idle = LeastRequests(), upstreams(0, 0, 0)
    assert set(Counter(policy.choose(idle).url for _ in range(30)).values()) == {10}


def test_a_weight_is_how_many_it_may_run_before_it_is_as_busy_as_another():
    light, heavy = (
        Upstream("http://light", weight=1, in_flight=1),
        Upstream("http://heavy", weight=3, in_flight=2),
    )
    assert LeastRequests().choose([light, heavy]) is heavy
