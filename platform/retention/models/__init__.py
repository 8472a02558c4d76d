"""One model a file."""

from retention.models.item import Item
from retention.models.order import TRANSITIONS, Order
from retention.models.term import Term

__all__ = ["TRANSITIONS", "Item", "Order", "Term"]
