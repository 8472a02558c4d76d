"""One model a file."""

from webhooks.models.delivery import Delivery
from webhooks.models.endpoint import Endpoint

__all__ = ["Delivery", "Endpoint"]
