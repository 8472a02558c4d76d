"""Tenants' secrets: encrypted at rest, injected behind the model, never shown."""
