"""The verbs on identity providers and e-mail domains. Each is one transaction with its journal record."""
