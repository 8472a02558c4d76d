"""The log as files for others: one module a format."""
