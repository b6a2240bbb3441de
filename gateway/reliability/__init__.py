"""What keeps a live request safe: admission, circuit breaker, retry rules, deadlines."""
