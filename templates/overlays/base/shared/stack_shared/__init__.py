"""What the services of this stack agree on."""
