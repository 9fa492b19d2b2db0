"""Routes, checks tokens, gathers the dashboard."""
