"""A real Valkey for the tests that need one."""

pytest_plugins = ["focushub_core.testing"]
