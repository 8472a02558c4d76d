"""The verbs on exports. Each is one transaction with its journal record."""
