"""The verbs on tenants, members, teams and keys. Each is one transaction with its journal record."""
