"""Canaries: a whole installation, whose secrets are repeated by everybody they are given to, and then looked for.

Real processes throughout: database, web server, workers, the rehearsed model, tool servers. Looked at is everything
the installation keeps or says: each row of each table, each line of its logs, each answer of its interface, its
exported configuration, and what the model was sent.
"""

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from db import embedded
from tests.agents.providers.servers import rehearsal
from tests.canaries.looking import every_row, found
from tests.canaries.servers import ANSWERS, Overheard, echo, overhearing, spiteful_database
from tests.db.embedded.conftest import data_dir
from tests.egress.servers import Seen, serve
from tests.ops.processes import environment, eventually, manage, up

__all__ = ["data_dir"]

Json = Any

TOKEN = "Bird/4f9c+7d21=Zq&x"
SECOND = "9081726354551"
PASSWORD = "Pigeon-5e1f-b0a7"
TENANTS = (TOKEN, SECOND, PASSWORD)

MODEL_KEY = "sk-ant-Finch-77c1-20de"
SECRET_KEY = "Sparrow-93b2-46f8-a1c5-Sparrow-70de-55c9-e384"
FIELD_KEY = "WrenWrenWrenWrenWrenWrenWrenWrenWrenWren0wU"
MAIL_PASSWORD = "Robin-c41d-99ab"
INSTALLATIONS = (MODEL_KEY, SECRET_KEY, FIELD_KEY, MAIL_PASSWORD)

MAILBOX = "ada@acme.example"
ARGUMENTS = {"database": {"query": "SELECT 1"}}
HEADERS = {"Authorization": "Bearer secret:token", "X-Second": "secret:second"}


def script(name: str, system: str, tools: list[str], answer: Json) -> Json:
    """A rehearsed model that calls all tools at once, and then says what it was told."""
    return {
        "script": name,
        "match": {"system": system},
        "turns": [
            {"content": [{"tool_use": {"name": tool, "input": ARGUMENTS.get(tool, {})}} for tool in tools]},
            {"when": {"after": tools}, "content": [{"text": answer}]},
        ],
    }


@dataclass
class Installation:
    """One that is up. key: an owner's, with every scope."""

    data_dir: Path
    url: str
    key: str
    tools: Seen
    heard: Overheard
    said: list[str]
    """What commands and interface have answered so far."""
    commands: Callable[..., None] = print
    """Run a command; what it says is kept."""

    def call(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """Call the interface; every answer is kept, headers included."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        own = {"Authorization": f"Bearer {self.key}", "Host": "localhost", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {**own, **{k.replace("_", "-"): v for k, v in headers.items()}})
        answered = connection.getresponse()
        text = answered.read().decode()
        connection.close()
        self.said.append(f"{answered.status} {answered.reason} {answered.headers} {text}")
        assert answered.status < 500, text
        return json.loads(text) if text.startswith(("{", "[")) else text

    def api(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """Call the API."""
        return self.call(method, f"/api/v1/{path}", body, **headers)


def command(folder: Path, env: dict[str, str], *arguments: str, given: str = "") -> str:
    done = subprocess.run(
        manage(*arguments), env=env, input=given, capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def scripts(folder: Path) -> Path:
    everything = [*ANSWERS, "careless", "shell", "database"]
    said = "The body said {{result.body.0.plain}}, the shell {{result.shell.SECRET_KEY}}."
    refused = {"kind": "http_status", "status": 401, "type": "authentication_error", "times": "always"}
    documents = [
        script("canaries", "You carry canaries", everything, said),
        {
            "script": "refused",
            "match": {"system": "You are refused"},
            "turns": [{"content": [{"text": "."}], "fault": {**refused, "message": f"invalid x-api-key: {MODEL_KEY}"}}],
        },
    ]
    (folder / "scripts").mkdir()
    (folder / "scripts" / "canaries.yaml").write_text(yaml.safe_dump_all(documents))
    return folder / "scripts"


def plugin(folder: Path) -> Path:
    """A package on the path that adds the careless tools, as an installation's own does."""
    place = folder / "plugin"
    about = place / "careless-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[countersign.tools]\ncareless = careless_tools\n")
    (place / "careless_tools.py").write_text((Path(__file__).parent / "plugin.py").read_text())
    return place


def definitions(tools: Seen) -> str:
    """The tenant's configuration, as its operator would keep it."""
    common = {"description": "A tool.", "input_schema": {"type": "object"}, "effect": "read", "timeout_s": 20}

    def document(kind: str, name: str, spec: Json) -> Json:
        return {"apiVersion": "countersign/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    def tool(name: str, kind: str, block: Json, **more: Json) -> Json:
        quiet = {"data": {"untrusted": False}}
        return document("Tool", name, {**common, **quiet, "type": kind, kind: block, **more})

    http = {name: {"method": "GET", "url": f"{tools.url}/{name}", "headers": HEADERS} for name in ANSWERS}
    strict = {"output_schema": {"type": "array", "items": {"properties": {"plain": {"const": "x"}}}}}
    documents = [tool(name, "http", block, **(strict if name == "schema" else {})) for name, block in http.items()]
    documents += [
        tool("careless", "python", {"function": "careless"}),
        tool("shell", "python", {"function": "shell"}),
        tool("database", "sql", {"source": "spiteful"}, input_schema={"type": "object"}),
        document("DataSource", "spiteful", {"engine": "postgresql", "url": "secret:spiteful"}),
    ]
    everything = [*ANSWERS, "careless", "shell", "database"]
    for slug, role, names in (("carrier", "You carry canaries.", everything), ("refused", "You are refused.", [])):
        model = {"id": "claude-opus-4-7", "max_tokens": 2048}
        documents.append(document("Agent", slug, {"role": role, "model": model, "tools": names}))
    return yaml.safe_dump_all(documents, sort_keys=False)


@pytest.fixture
def installation(data_dir: Path) -> Iterator[Installation]:
    """One that was set up by its commands, with the canaries in place."""
    with (
        serve(echo) as tools,
        spiteful_database() as database,
        rehearsal(scripts(data_dir)) as model,
        overhearing(model) as heard,
    ):
        variables = {
            "ANTHROPIC_API_KEY": MODEL_KEY,
            "ANTHROPIC_BASE_URL": heard.url,
            "SECRET_KEY": SECRET_KEY,
            "FIELD_KEYS": FIELD_KEY,
            "EMAIL_URL": f"smtp://post:{MAIL_PASSWORD}@127.0.0.1:9",
            "EGRESS_ALLOW": f"127.0.0.1:{tools.port},127.0.0.1:{database}",
            "LOG_LEVEL": "DEBUG",
            "PYTHONPATH": str(plugin(data_dir)),
        }
        env = environment(data_dir, **variables)
        with up(data_dir, "--workers", "1", **variables) as running:
            said = [command(data_dir, env, "tenant", "create", "acme")]
            said.append(command(data_dir, env, "tenant", "member", "acme", MAILBOX, "--role", "owner"))
            scopes = "runs:write,runs:read,agents:read,tools:read,tools:write,escalations:read,audit:read"
            key = command(data_dir, env, "apikey", "create", "acme", "--name", "k", "--scopes", scopes, "--as", MAILBOX)
            url = f"postgresql://reader:{PASSWORD}@127.0.0.1:{database}/shop"
            said.append(command(data_dir, env, "secret", "set", "acme", "spiteful", "--stdin", given=url))
            made = Installation(data_dir, running.url, key.strip().splitlines()[-1], tools, heard, said)
            made.api("PUT", "secrets/token", {"value": f"Bearer {TOKEN}"[7:]})
            made.api("PUT", "secrets/second", {"value": SECOND})
            (data_dir / "all.yaml").write_text(definitions(tools))
            apply = ("config", "apply", "--publish", "--tenant", "acme", str(data_dir / "all.yaml"))
            said.append(command(data_dir, env, *apply))
            made.commands = lambda *words: said.append(command(data_dir, env, *words))
            yield made


def settled(here: Installation, agent: str) -> str:
    """Start a run and wait until it has ended, or a person is asked."""
    run: str = here.api("POST", "runs", {"agent": agent, "input": {}}, Idempotency_Key=agent)["id"]

    def done() -> bool:
        status = here.api("GET", f"runs/{run}")
        return status["status"] in {"completed", "failed"} or status.get("waiting_for") == "decision"

    assert eventually(done), here.said[-1]
    return run


def asked(here: Installation, run: str) -> None:
    """Read what the person is asked."""
    for escalation in here.api("GET", f"runs/{run}")["escalations"]:
        here.api("GET", f"escalations/{escalation}")


@pytest.mark.large
def test_no_secret_is_seen_again_once_it_was_given(installation: Installation) -> None:
    here = installation
    runs = [settled(here, "carrier"), settled(here, "refused")]
    for run in runs:
        here.api("GET", f"runs/{run}")
        here.api("GET", f"runs/{run}/events?limit=1000")
    assert here.api("GET", f"runs/{runs[0]}")["status"] == "completed", here.said[-1]
    here.api("GET", f"runs/{runs[0]}/stream", Accept="text/event-stream")
    asked(here, runs[1])
    for path in ("runs", "tools", "agents", "agents/carrier/versions", "secrets", "escalations", "models"):
        here.api("GET", path)
    for name in ("body", "database"):
        here.api("GET", f"tools/{name}")
    here.api("DELETE", "secrets/token")
    here.api("PUT", "secrets/token", {"value": [TOKEN]})
    here.api("PUT", f"secrets/{SECOND}", {"value": TOKEN})
    for path in ("/admin/", "/admin/login/", "/nowhere/", "/api/nowhere", "/readyz", "/accounts/login/"):
        here.call("GET", path)

    here.commands("config", "export", "--tenant", "acme")
    assert "secret:token" in here.said[-1]
    here.commands("secret", "list", "acme")

    # The canaries did fly: every tool had them, the model was asked with its key, and something was taken out.
    assert len(here.tools.requests) >= len(ANSWERS)
    assert all(TOKEN.encode() in request and SECOND.encode() in request for request in here.tools.requests)
    assert here.heard.keys == {f"Bearer {MODEL_KEY}"}
    events = here.api("GET", f"runs/{runs[0]}/events?limit=1000")["results"]
    outcomes = [event for event in events if event["type"] in {"tool.finished", "tool.failed"}]
    assert {event["data"]["tool"] for event in outcomes} == {*ANSWERS, "careless", "shell", "database"}
    assert json.dumps(events).count("[redacted]") > 50

    everywhere = {f"table {table}": text for table, text in every_row(embedded.ensure_running(here.data_dir).dsn())} | {
        "requests to the model": b"\n".join(here.heard.bodies).decode(),
        "logs": (here.data_dir / "up.log").read_text(),
        "answers": "\n".join(here.said),
    }
    assert len(everywhere) > 40
    told = {place: found(TENANTS + INSTALLATIONS, text) for place, text in everywhere.items()}
    assert {place: shown[:3] for place, shown in told.items() if shown} == {}
