"""The engine: performs what the core decides and appends what happened."""
