"""Programs that work when they are pasted: start a run, follow it, check a webhook's signature. Pure."""

import json
import shlex
from typing import Any, Final

Json = Any

_PYTHON: Final = """\
import json, os, time, urllib.request

BASE = "{base}/api/v1"
HEADERS = {{"Authorization": "Bearer " + os.environ["COUNTERSIGN_KEY"], "Content-Type": "application/json"}}


def call(path, body=None, **more):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, HEADERS | more)) as answer:
        return json.load(answer)


body = {{"agent": {agent}, "input": json.loads({given})}}
run = call("/runs", body, **{{"Idempotency-Key": "first-" + str(time.time())}})
while run["status"] in ("queued", "running", "waiting"):
    print(run["status"], run.get("waiting_for") or "")
    if run.get("waiting_for") == "decision":
        break  # a person is asked; a webhook tells when the run goes on
    time.sleep(1)
    run = call("/runs/" + run["id"])
print(json.dumps(run, indent=2))
"""

#: With a stock library, and without one.
VERIFY_LIBRARY: Final = """\
# pip install standardwebhooks
from standardwebhooks import Webhook

event = Webhook("whsec_…").verify(body, headers)  # raises unless it is ours, unchanged and fresh
"""

VERIFY: Final = '''\
import base64, hashlib, hmac, json, time


def verified(secret, headers, body):
    """Return the event; raise ValueError unless it is ours, unchanged and at most five minutes old. body: bytes."""
    name, at = headers["webhook-id"], headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    given = [each.removeprefix("v1,") for each in headers["webhook-signature"].split()]
    if not any(hmac.compare_digest(wanted, each) for each in given) or abs(time.time() - int(at)) > 300:
        raise ValueError("Not ours, changed on its way, or too old.")
    return json.loads(body)
'''


def start_with_curl(base: str, agent: str, given: Json) -> str:
    """Return the request that starts a run, for a shell. base: the installation's address; given: the run's input."""
    body = json.dumps({"agent": agent, "input": given}, ensure_ascii=False)
    return (
        f"curl -sS {base}/api/v1/runs \\\n"
        '  -H "Authorization: Bearer $COUNTERSIGN_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -H "Idempotency-Key: first-$(date +%s)" \\\n'
        f"  -d {shlex.quote(body)}"
    )


def read_with_curl(base: str) -> str:
    """Return the request that reads what became of the latest runs."""
    return f'curl -sS "{base}/api/v1/runs?limit=3" -H "Authorization: Bearer $COUNTERSIGN_KEY"'


def start_with_python(base: str, agent: str, given: Json) -> str:
    """Return the program that starts a run and waits for its end; needs nothing but Python."""
    return _PYTHON.format(base=base, agent=json.dumps(agent), given=repr(json.dumps(given, ensure_ascii=False)))
