"""One model a file."""

from quotas.models.budget import Budget, Window
from quotas.models.model_call import ModelCall

__all__ = ["Budget", "ModelCall", "Window"]
