"""The REST API as the demo's client uses it: over HTTP, with an API key, like everybody else's."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

Json = Any

TIMEOUT_SECONDS = 30


class RestError(Exception):
    """A call was not answered as hoped. status: 0 when no answer came; problem: the problem document, if any."""

    def __init__(self, call: str, status: int, problem: Json) -> None:
        detail = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else problem
        super().__init__(f"{call}: {status or 'no answer'}, {detail}")
        self.status = status
        self.problem = problem


def fetch(url: str) -> Json:
    """Return the JSON at a plain URL. Raises RestError."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", place.path)
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RestError(f"GET {url}", 0, str(error)) from error
    finally:
        connection.close()


class Rest:
    """One key's view of the API at `url`. host: the name the installation answers to."""

    def __init__(self, url: str, key: str, *, host: str) -> None:
        self._place = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}", "Host": host, "Content-Type": "application/json"}

    def get(self, path: str) -> Json:
        """Return what is at `/api/v1/` + path. Raises RestError."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: Json, *, idempotency_key: str | None = None) -> Json:
        """Send `body` and return the answer. Raises RestError."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", path, json.dumps(body).encode(), headers)

    def put(self, path: str, body: Json, *, new: bool = False) -> Json:
        """Put `body` in the place of whatever is there; new: where there is nothing yet. Raises RestError."""
        return self._call("PUT", path, json.dumps(body).encode(), {"If-None-Match" if new else "If-Match": "*"})

    def delete(self, path: str) -> None:
        """Remove what is there. Raises RestError."""
        self._call("DELETE", path, None, {})

    def status(self, path: str) -> int:
        """Return the status that a GET is answered with. Raises RestError when no answer comes."""
        try:
            self.get(path)
        except RestError as error:
            if not error.status:
                raise
            return error.status
        return 200

    def every(self, path: str) -> Iterator[Json]:
        """Yield each result of a list, page by page."""
        page = self.get(path)
        yield from page["results"]
        while page["next"]:
            page = self.get(f"{path}{'&' if '?' in path else '?'}cursor={page['next']}")
            yield from page["results"]

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Json:
        call = f"{method} /api/v1/{path}"
        connection = http.client.HTTPConnection(
            self._place.hostname or "", self._place.port or 80, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request(method, f"/api/v1/{path}", body, {**self._headers, **headers})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RestError(call, 0, str(error)) from error
        finally:
            connection.close()
        try:
            value = json.loads(text) if text else None
        except ValueError:
            value = text[:200].decode("utf-8", "replace")
        if not 200 <= response.status < 300:
            raise RestError(call, response.status, value)
        return value
