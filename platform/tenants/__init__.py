"""Tenants, the people and services in them, and their API keys."""
