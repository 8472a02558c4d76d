"""One model a file."""

from quotas.models.budget import Budget, Window

__all__ = ["Budget", "Window"]
