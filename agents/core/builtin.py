"""What every agent may name among its tools without anybody defining it."""

from typing import Final

#: The built-in tool by which the model itself asks a person.
ESCALATE: Final = "escalate_to_human"
