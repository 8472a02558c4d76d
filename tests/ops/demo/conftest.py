"""The demo's service as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.conf import settings

# As manage.py sees the packages; the tests run in checkouts that are not installed, too.
PYTHONPATH = {"PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), str(settings.BASE_DIR / "platform")])}


@dataclass(frozen=True)
class Running:
    """A running service."""

    url: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Return status, JSON and headers of an answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, data, names, method=method)
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, json.load(response), dict(response.headers)
        except HTTPError as error:
            with error:
                return error.code, json.load(error), dict(error.headers)


@pytest.fixture
def service() -> Iterator[Running]:
    """The service, with a token for acme."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.demo.service", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **PYTHONPATH, "DEMO_SERVICE_TOKENS": "acme=sesame"},
    )
    try:
        assert process.stdout is not None
        yield Running(process.stdout.readline().removeprefix("ready ").strip())
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0
