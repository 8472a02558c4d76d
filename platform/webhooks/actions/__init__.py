"""The verbs on webhooks. Each is one transaction with its journal record."""
