"""Focus sessions and the time in them."""
