"""One model a file."""

from exports.models.export import Export
from exports.models.part import Part

__all__ = ["Export", "Part"]
