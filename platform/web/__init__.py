"""What every request and answer of the web process shares, whichever face it belongs to: limits and headers."""
