"""Suppliers of models. Import `agents.providers.claude` only where models are called: the SDK takes 50 MB."""
