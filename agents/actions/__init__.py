"""The verbs on agents, tools, data sources and runs. Each is one transaction with its journal record."""
