"""One model a file."""

from notices.models.happening import Happening
from notices.models.letter import Letter
from notices.models.notice import Notice
from notices.models.preference import Preference

__all__ = ["Happening", "Letter", "Notice", "Preference"]
