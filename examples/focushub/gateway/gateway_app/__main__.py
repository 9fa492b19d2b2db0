"""Runs the gateway: ``python -m gateway_app``."""

from .app import FocusHubGateway

if __name__ == "__main__":
    FocusHubGateway.run()
