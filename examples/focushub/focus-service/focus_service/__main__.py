"""Runs the service: ``python -m focus_service``."""

from __future__ import annotations

from .service import FocusService

if __name__ == "__main__":
    FocusService.run()
