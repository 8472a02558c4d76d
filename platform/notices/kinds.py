"""What people are written to about. Pure."""

from typing import Final

#: Kind → its words in a letter, the most pressing first: of several about one question a letter tells the first.
#: The database's triggers put down `asked`, `assigned`, `escalated`, `reminded` and `decided` (`migrations`).
KINDS: Final = {
    "reminded": "Due soon, and still waits for you",
    "escalated": "Overdue elsewhere, and now waits for you",
    "assigned": "Assigned to you",
    "appealed": "An appeal waits for you",
    "asked": "Waits for you",
    "decided": "Decided on your request",
}

#: Those that are about an open question, and of no use when it is open no more.
OF_OPEN: Final = frozenset(KINDS) - {"decided"}
