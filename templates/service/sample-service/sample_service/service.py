"""The service: its name, its database, its routes."""

from focushub_core import Database, Service

from . import items


class SampleService(Service):
    """Answers ``/v1/sample``."""

    name = "sample-service"
    database = Database(migrations="migrations")
    routes = (items.routes,)
