"""How a part runs as a process: signals, readiness, drain."""
