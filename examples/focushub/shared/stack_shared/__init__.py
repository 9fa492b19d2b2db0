"""What the services agree on: calendar days (`calendar`), time zones (`zones`), a person's day settings (`day`)."""
