"""A database's pool for Prometheus: is anybody waiting for a connection?"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from focushub_core.database.database import Database


class PoolCollector(Collector):
    """Reads the pool of ``database`` when it is asked; while that is closed, nothing is shown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families at this moment."""
        status = self._database.status
        if status is None:
            return
        connections = GaugeMetricFamily("database_connections", "Of the pool, by state.", labels=("state",))
        connections.add_metric(("idle",), status.idle)
        connections.add_metric(("opening",), status.opening)
        connections.add_metric(("busy",), status.size - status.idle - status.opening)
        yield connections
        yield GaugeMetricFamily("database_connections_max", "What the pool may open.", status.max_size)
        yield GaugeMetricFamily("database_waiters", "Requests without a connection.", status.waiting)


def register(database: Database, registry: CollectorRegistry) -> None:
    """Shows the pool of ``database`` among the metrics of ``registry``."""
    registry.register(PoolCollector(database))
