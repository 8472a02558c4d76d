"""The verbs on agents, tools and runs. Each is one transaction with its journal record."""
