"""What does not prove."""


class Unproven(Exception):
    """Something in the bundle does not prove; the message says what."""
