"""What the page for developers gives works when it is pasted."""

import html
import os
import re
import subprocess
import sys
import time

import pytest

from console import examples
from db.scope import tenant_scope
from tenants.actions import api_keys
from tenants.models import Role, Tenant
from tests.console.test_tools import as_role
from tests.worlds import VERDICT, World
from webhooks import signing


@pytest.fixture
def key(acme: World) -> str:
    with tenant_scope(acme.tenant_id):
        tenant = Tenant.objects.get(id=acme.tenant_id)
    scopes = ["runs:read", "runs:write"]
    return api_keys.create(
        tenant=tenant,
        name="pasted",
        scopes=scopes,
        member_email=f"alice@{acme.slug}.example",
        acting_as=acme.alice.actor,
    )[1]


def test_the_page_names_an_agent_of_the_tenant_and_the_installation(acme: World) -> None:
    acme.define(
        "quote’s-desk".replace("’", ""),  # noqa: RUF001
        role="Quotes",
        output_schema=VERDICT,
        input_schema={
            "type": "object",
            "properties": {"note": {"enum": ['it\'s "here"']}},
            "required": ["note"],
        },
    )
    shown = html.unescape(as_role(acme, Role.OWNER).get(f"/{acme.slug}/developers/").content.decode())
    assert '"agent": "quotes-desk"' in shown
    assert "/api/v1/runs" in shown


def test_pasted_requests_start_a_run_and_read_it(web_server: str, acme: World, key: str) -> None:
    given = {"order": 'it\'s "88213" $HOME'}
    environment = {"COUNTERSIGN_KEY": key, "PATH": os.environ["PATH"]}
    pasted = "\n".join(
        [examples.start_with_curl(web_server, "refund-desk", given), examples.read_with_curl(web_server)]
    )
    said = subprocess.run(["bash", "-ec", pasted], env=environment, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r'"status": ?"queued"', said)) == 2
    program = examples.start_with_python(web_server, "refund-desk", given).replace("time.sleep(1)", "break")
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert '"agent": "refund-desk"' in ran.stdout


def test_pasted_check_takes_what_we_sign_and_nothing_else() -> None:
    scope: dict[str, object] = {}
    exec(examples.VERIFY, scope)  # noqa: S102 - it is ours, and this is what is tried
    verified, key, body = scope["verified"], os.urandom(32), b'{"type": "run.completed"}'
    assert callable(verified)
    headers = signing.headers([os.urandom(32), key], id="msg_1", at_s=int(time.time()), body=body)
    assert verified(signing.written(key), headers, body) == {"type": "run.completed"}
    for changed, told in ((body + b" ", headers), (body, headers | {"webhook-timestamp": "1"})):
        with pytest.raises(ValueError, match="Not ours"):
            verified(signing.written(key), told, changed)
