"""What stands before a tool's call: cache, breaker, places."""
