"""Habits, check-ins and streaks."""
