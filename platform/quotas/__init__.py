"""Budgets (reserve, then settle) and limits."""
