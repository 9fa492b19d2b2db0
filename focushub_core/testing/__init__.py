"""For the tests of people's own services: say ``pytest_plugins = ["focushub_core.testing"]`` in a conftest."""
