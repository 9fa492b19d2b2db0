"""What a running part says of itself: log lines, request ids, metrics."""
