"""Items, each person's own."""
