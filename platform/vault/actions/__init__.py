"""The verbs on secrets."""
