"""Runs the service: ``python -m habit_service``."""

from __future__ import annotations

from .service import HabitService

if __name__ == "__main__":
    HabitService.run()
