"""The image's health check: whether the web server of this container answers.

    python platform/ops/answering.py [PORT]

Needs the standard library only, so that asking every few seconds costs little. It asks `/healthz`, not `/readyz`:
nothing is mended by starting a web server anew because its database is away.
"""

import http.client
import os
import sys
from typing import Final

PORT: Final = 8000
SECONDS: Final = 4


def main(arguments: list[str]) -> int:
    """Ask; 0 when it answered as it should."""
    port = int(arguments[0]) if arguments else PORT
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
