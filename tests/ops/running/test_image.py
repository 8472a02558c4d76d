"""Dockerfile and production.yml: read, and carried out as far as a machine without Docker lets one."""

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.env import KNOWN
from ops import new_secrets
from ops.demo.rest import Rest
from ops.management.commands import docs
from tests.agents.providers.servers import rehearsal
from tests.journeys.running import start, wait
from tests.ops.processes import PATIENCE_SECONDS, eventually
from tests.ops.running import compose, postgres
from tests.ops.running.image import ROOT, Context, Image, stages
from tests.ops.running.postgres import Postgres
from tests.ports import free_port

Json = Any
CONTAINER = 10001
SERVICES = compose.project()["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "countersign"}

AGENT = """
apiVersion: countersign/v1
kind: Agent
metadata: {name: greeter}
spec: {role: You greet, model: {id: claude-opus-4-7}}
"""
SCRIPT = """
script: greeter
match: {system: "You greet"}
turns:
  - content: [{text: "Hello from the container."}]
"""

# --- the files ------------------------------------------------------------------------------------------------------


def test_everything_is_installed_by_its_hash_and_the_image_is_nobodys() -> None:
    build, final = stages()

    installs = [line for line in build.all("RUN") if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps --editable ." in line for line in installs)
    assert not [line for line in final.all("RUN") if "pip" in line or "apt" in line]
    assert final.last("USER") == f"{CONTAINER}:{CONTAINER}"
    assert not build.all("ADD") + final.all("ADD")
    assert build.base == final.base
    # The layers of what changes seldom do not depend on the code.
    copies = build.all("COPY")
    assert copies[0] == "requirements.txt ./"
    assert copies[-1] == ". ."


def test_what_is_copied_is_the_program_alone() -> None:
    context = Context()

    tops = {name.split("/")[0] for name in context.files}
    assert {
        "agents",
        "audit",
        "escalations",
        "platform",
        "manage.py",
        "requirements.txt",
        "static",
        "templates",
    } <= tops
    assert not tops & {"tests", "bench", "docs", "secrets", ".git", ".venv", ".data", ".cache", "node_modules"}
    assert not [name for name in context.files if "__pycache__" in name or name.startswith("static/vendor")]
    for path in ("secrets/field_keys", ".git/config", ".data/secrets/secret_key", "agents/__pycache__/x.pyc"):
        assert not context.has(path), path


def test_each_container_has_as_little_as_it_can() -> None:
    assert {"web", "workers", "migrate", "partitions", "temporal-workers"} == OURS
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert ("database_owner_url" in service["secrets"]) == (name in {"migrate", "partitions"})
        assert "postgres_password" not in service["secrets"]
        variables = {each.removesuffix("_FILE") for each in service["environment"]}
        assert variables <= set(KNOWN)
        assert name == "web" or service["healthcheck"] == {"disable": True}
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert set(SERVICES) - OURS == {"database", "redis", "temporal"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {
        "redis",
        "temporal",
        "temporal-workers",
    }


def test_every_name_leads_somewhere() -> None:
    described = compose.project()

    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(described["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith("./") else source in described["volumes"], mount
    for secret, where in described["secrets"].items():
        assert where == {"file": f"secrets/{secret}"}


@pytest.mark.parametrize("name", ["BASE_URL", "ALLOWED_HOSTS"])
def test_it_says_what_must_be_set(name: str) -> None:
    with pytest.raises(compose.Missing, match=name):
        compose.project({**compose.GIVEN, name: ""})


def test_the_roles_are_those_of_the_code() -> None:
    assert (ROOT / "platform/db/roles.sql").read_text() == docs.roles_script()


# --- secrets --------------------------------------------------------------------------------------------------------


def test_new_secrets_are_made_once_and_are_nobody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    assert new_secrets.main([str(folder)]) == 0
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert new_secrets.main([str(folder)]) == 0

    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert first.keys() == compose.project()["secrets"].keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert first["app_password"].strip() in first["database_url"]
    assert first["owner_password"].strip() in first["database_owner_url"]
    assert len({text for text in first.values() if text.strip()}) == sum(bool(text.strip()) for text in first.values())
    assert new_secrets.main([]) == 2


# --- carried out ----------------------------------------------------------------------------------------------------


@contextmanager
def built(*, installed: bool) -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix="countersign-image-", dir="/var/tmp"))
    folder.chmod(0o755)
    image = Image(folder, installed=installed)
    try:
        image.build()
        yield image
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, with what is installed for the tests."""
    with built(installed=False) as made:
        yield made


@contextmanager
def containers(image: Image) -> Iterator["Containers"]:
    """The services of production.yml as processes, each with its own secrets only, on a server like the image's."""
    secrets = image.root / "secrets"
    shutil.rmtree(secrets, ignore_errors=True)
    assert new_secrets.main([str(secrets)]) == 0
    secrets.chmod(0o755)  # mounts lead past the folder
    passwords = {
        login: (secrets / name).read_text().strip()
        for login, name in (
            ("postgres", "postgres_password"),
            ("countersign_app", "app_password"),
            ("countersign_owner", "owner_password"),
        )
    }
    with postgres.server(passwords) as database:
        compose.lead_to(database.port, secrets)
        made = Containers(image, database, secrets)
        try:
            yield made
        finally:
            made.stop()


class Containers:
    """Running services."""

    def __init__(self, image: Image, database: Postgres, secrets: Path) -> None:
        self.image, self.database, self.secrets = image, database, secrets
        self.port = free_port()
        self._work = image.root / "app"
        self._running: list[subprocess.Popen[bytes]] = []
        self._variables: dict[str, str] = {}

    def given(self, **variables: str) -> None:
        """Let all services that are started from now on have these variables too."""
        self._variables |= variables

    def run(self, service: str, *command: str, text: str = "") -> str:
        """Run a container to its end, with another command than the service's own; return what it said."""
        words, environment = self._process(service, list(command))
        done = subprocess.run(
            words, cwd=self._work, env=environment, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, service: str) -> "subprocess.Popen[bytes]":
        """Start a service."""
        words, environment = self._process(service, [])
        log = (self.image.root / f"{service}.log").open("wb")
        with log:
            process = subprocess.Popen(words, cwd=self._work, env=environment, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def health(self) -> int:
        """Carry out the health check."""
        test = stages()[-1].last("HEALTHCHECK").partition(" CMD ")[2]
        environment = self._process("web", [])[1]
        command = [*json.loads(test), str(self.port)]
        command[0] = str(shutil.which(command[0], path=environment["PATH"]))
        return subprocess.run(command, cwd=self._work, env=environment, check=False).returncode

    def stop(self) -> None:
        """Stop everything as Docker does."""
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            process.wait(PATIENCE_SECONDS)
        self._running.clear()

    def _process(self, service: str, command: list[str]) -> tuple[list[str], dict[str, str]]:
        own = command or [str(word) for word in SERVICES[service].get("command", [])]
        variables = compose.environment(service, self.secrets) | self._variables
        words, environment = self.image.process(own, variables)
        return [str(self.port) if word == "8000" else word for word in words], environment


def play(image: Image) -> None:
    """Migrate, serve, drive a run, stop; nothing of the program's folder is written."""
    before = image.state()
    scripts = image.root / "scripts.yaml"
    scripts.write_text(SCRIPT)
    with rehearsal(scripts) as model, containers(image) as running:
        running.given(ANTHROPIC_BASE_URL=model, LOG_LEVEL="WARNING")
        # The service's own key is that of a file, which is empty.
        (running.secrets / "anthropic_api_key").chmod(0o644)
        (running.secrets / "anthropic_api_key").write_text("rehearsal\n")
        if image.drops_root:
            os.chown(image.root / "data", CONTAINER, CONTAINER)
        running.run("migrate", *SERVICES["migrate"]["command"])
        assert "a year" in running.run("partitions", "partitions")
        running.run("web", "tenant", "create", "acme")
        running.run("web", "tenant", "member", "acme", "ada@acme.example", "--role", "operator")
        definition = image.root / "agent.yaml"
        definition.write_text(AGENT)
        running.run("web", "config", "apply", "--publish", "--tenant", "acme", str(definition))
        asked = ("--name", "app", "--scopes", "runs:write,runs:read", "--as", "ada@acme.example")
        key = running.run("web", "apikey", "create", "acme", *asked).strip()

        assert running.health() == 1
        web, workers = running.start("web"), running.start("workers")
        assert eventually(lambda: running.health() == 0), (image.root / "web.log").read_text()
        api = Proxied(f"http://127.0.0.1:{running.port}", key, host=compose.GIVEN["ALLOWED_HOSTS"])
        done = wait(api, start(api, "greeter", "Hello?"), "completed")

        assert done["output"] == "Hello from the container."
        assert web.poll() is None
        assert workers.poll() is None
    assert image.state() == before


class Proxied(Rest):
    """The API behind a proxy that ends TLS."""

    def __init__(self, url: str, key: str, *, host: str) -> None:
        super().__init__(url, key, host=host)
        self._headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


def test_its_services_serve_and_drive_runs_from_a_folder_that_nobody_writes(image: Image) -> None:
    play(image)


def test_static_files_are_in_it_with_names_of_their_own(image: Image) -> None:
    collected = image.root / "app" / "collected"

    manifest = json.loads((collected / "staticfiles.json").read_text())
    assert any(name.startswith("vendor/") for name in manifest["paths"])
    assert all((collected / name).is_file() for name in manifest["paths"].values())


@pytest.mark.large
@pytest.mark.timeout(900)
def test_it_can_be_built_from_nothing() -> None:
    with built(installed=True) as made:
        assert (made.root / "opt" / "venv" / "bin" / "python").exists()
        assert (made.root / "app" / "static" / "vendor" / "manifest.json").exists()
        assert not (made.root / "app" / ".cache").exists()
        play(made)
