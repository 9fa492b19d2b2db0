"""The service: its name, its database, its routes, and the habits of HTTP that all of them have."""

from focushub_core import Database, Idempotent, Located, Service

from . import items


class SampleService(Service):
    """Answers ``/v1/sample``."""

    name = "sample-service"
    database = Database(migrations="migrations")
    routes = (items.routes,)
    habits = (Idempotent(), Located())
