"""One model a file."""

from metrics.models.total import Total

__all__ = ["Total"]
