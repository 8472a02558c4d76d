"""The verbs on escalations. Each is one transaction with its journal record."""
