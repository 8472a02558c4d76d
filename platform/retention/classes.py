"""The classes that have terms of retention of their own, and what belongs to each.

What nobody set a term for is kept for ever, and so are records, whatever the terms: only what concerns people goes.
"""

from typing import Final

RUNS: Final = "runs"
DECISIONS: Final = "decisions"
SIGN_IN: Final = "sign_in"
CONFIGURATION: Final = "configuration"

#: Class → what it holds, in words. An app whose rows have a term of their own adds it to `PLACES`.
CLASSES: Final[dict[str, str]] = {
    RUNS: "runs that nobody was asked about, from their end on: inputs, calls, results, outputs, and what came of them",
    DECISIONS: "runs that people were asked about, with what they answered, from their end on",
    SIGN_IN: "who came in, from where, and who was refused",
    CONFIGURATION: "names, texts and reasons in records of agents, tools, policies, people, keys and settings",
    "deliveries": "webhooks that were delivered or given up",
}

#: Class → table, the column of its time, and the condition of a row that may go. For classes that are rows of a table.
PLACES: Final[dict[str, tuple[str, str, str]]] = {
    "deliveries": ("webhooks_delivery", "created_at", "status <> 'pending'"),
}

#: Shorter terms would take what is still worked with, and be an erasure by one setting.
LEAST_DAYS: Final = 7
MOST_DAYS: Final = 36_500
