"""The installation's settings with a data folder of the tests' own, whatever the developer's environment says.

The folder stays between runs, so that only the first run makes a database cluster.
"""

import os
from pathlib import Path

from config.env import KNOWN

for _name in KNOWN:
    for _variable in (_name, f"{_name}_FILE"):
        os.environ.pop(_variable, None)

_root = Path(__file__).resolve().parent.parent
os.environ["DATA_DIR"] = os.environ.get("TEST_DATA_DIR") or str(_root / ".data" / "tests")

# The tests refuse one and the same member, and keys from one address, more in a minute than people run into.
os.environ["RATE_LIMITS_REFUSALS"] = os.environ["RATE_LIMITS_FAILURES"] = "60000/minute"

from config.settings import *  # noqa: E402, F403

# Hundreds of tests sign in. What a stolen database costs an attacker is asked of the product's own settings.
PASSWORD_HASHERS = ["tests.hashers.QuickArgon2PasswordHasher"]
