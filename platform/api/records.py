"""How the parts of a record are written by whoever asks for some."""

import re
from typing import Final

ACTOR: Final = re.compile(r"engine|anonymous|(?:user|key|system):[A-Za-z0-9_-]{1,80}")
SUBJECT: Final = re.compile(r"[a-z_]{1,40}:[A-Za-z0-9_-]{1,80}")
ACTION: Final = re.compile(r"[a-z_]{1,60}\.[a-z_]{1,60}")
RECORD_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
