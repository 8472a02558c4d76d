"""One model a file."""

from learning.models.case import Case
from learning.models.feedback import Feedback, FeedbackWish

__all__ = ["Case", "Feedback", "FeedbackWish"]
