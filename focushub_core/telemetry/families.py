"""Metrics that are read when they are asked for, in Prometheus' text format; for its library where a part uses that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class Family(NamedTuple):
    """A metric and its values by labels. A counter's name ends with ``_total``."""

    kind: Literal["counter", "gauge"]
    name: str
    text: str
    rows: Sequence[tuple[Mapping[str, str], float]]


def render(families: Iterable[Family]) -> bytes:
    """``families`` in Prometheus' text format (version 0.0.4). Labels are ours: nothing in them needs escaping."""
    return "".join(f"{line}\n" for family in families for line in _lines(family)).encode()


def register(families: Callable[[], Iterable[Family]], registry: CollectorRegistry) -> None:
    """Shows what ``families`` gives, whenever it is asked, among the metrics of ``registry``."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Reading(Collector):
        def collect(self) -> Iterator[Metric]:
            for kind, name, text, rows in families():
                labels = tuple(rows[0][0]) if rows else ()
                made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                family = made(name.removesuffix("_total"), text, labels=labels)
                for values, value in rows:
                    family.add_metric(tuple(values.values()), value)
                yield family

    registry.register(Reading())


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.text}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.rows:
        written = ",".join(f'{name}="{text}"' for name, text in labels.items())
        yield f"{family.name}{{{written}}} {float(value)}" if written else f"{family.name} {float(value)}"
