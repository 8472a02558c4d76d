"""A provider of the tests' own, on loopback: speaks the code flow, and lies where a test wants it to."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

Json = Any

CLIENT_ID = "countersign"
CLIENT_SECRET = "a client's secret"
KEY_ID = "key-1"


@dataclass
class Lies:
    """What a test changes of what the provider would honestly say.

    document, claims, userinfo: put over the honest values; a value of None leaves the key out. header: of the ID token.
    paths: answers of whole addresses, as (status, headers, body chunks). sign: makes the ID token from claims.
    """

    document: dict[str, Json] = field(default_factory=dict)
    claims: dict[str, Json] = field(default_factory=dict)
    userinfo: dict[str, Json] = field(default_factory=dict)
    keys: list[Json] | None = None
    paths: dict[str, tuple[int, dict[str, str], Callable[[], Iterator[bytes]]]] = field(default_factory=dict)
    sign: Callable[[dict[str, Json]], str] | None = None
    token: dict[str, Json] = field(default_factory=dict)


class IdP:
    """The provider. `codes`: what each authorization code stands for; `asked`: the paths it was asked for."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.place = f"127.0.0.1:{port}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.lies = Lies()
        self.codes: dict[str, tuple[dict[str, str], dict[str, Json]]] = {}
        self.asked: list[str] = []

    def authorize(self, url: str, **claims: Json) -> dict[str, str]:
        """Be the page the browser was sent to: return the query that it comes back with."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = (query, claims)
        return {"code": code, "state": query["state"]}

    def answer(self, path: str, body: dict[str, str]) -> Json:
        """Return what an address answers with; None when there is no such one."""
        if path == "/.well-known/openid-configuration":
            return over(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/jwks",
                    "token_endpoint_auth_methods_supported": ["client_secret_post"],
                },
                self.lies.document,
            )
        if path == "/jwks":
            return {"keys": self.lies.keys if self.lies.keys is not None else [self.public_key()]}
        if path == "/token":
            return self._token(body)
        if path == "/userinfo":
            return over({"sub": "sub-1"}, self.lies.userinfo)
        return None

    def public_key(self) -> Json:
        """Return the key as in a key set."""
        as_dict = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return as_dict | {"kid": KEY_ID, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Json]) -> str:
        """Return an honest ID token."""
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": KEY_ID})

    def _token(self, body: dict[str, str]) -> Json:
        query, said = self.codes.pop(body["code"])
        proof = base64.urlsafe_b64encode(hashlib.sha256(body["code_verifier"].encode()).digest()).decode().rstrip("=")
        assert proof == query["code_challenge"]
        assert query["code_challenge_method"] == "S256"
        assert body["redirect_uri"] == query["redirect_uri"]
        assert (body["client_id"], body["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        now = int(time.time())
        honest = {"iss": self.issuer, "sub": "sub-1", "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        claims = over(honest | {"nonce": query["nonce"]} | said, self.lies.claims)
        return over(
            {
                "access_token": "an access token",
                "token_type": "Bearer",
                "id_token": (self.lies.sign or self.sign)(claims),
            },
            self.lies.token,
        )


def over(honest: dict[str, Json], lies: dict[str, Json]) -> dict[str, Json]:
    """Return the honest values with the lies put over them."""
    return {name: value for name, value in (honest | lies).items() if value is not None}


@contextmanager
def serving() -> Iterator[IdP]:
    """Run a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(raw).items()})

        def _answer(self, body: dict[str, str]) -> None:
            idp.asked.append(self.path)
            status, headers, chunks = idp.lies.paths.get(self.path) or self._honest(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for chunk in chunks():
                    self.wfile.write(chunk)
            except (BrokenPipeError, ConnectionResetError):
                idp.asked.append("cut off")

        def _honest(self, body: dict[str, str]) -> tuple[int, dict[str, str], Callable[[], Iterator[bytes]]]:
            answer = idp.answer(self.path, body)
            data = json.dumps(answer).encode()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
            return (200 if answer is not None else 404), headers, lambda: iter([data])

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    idp = IdP(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield idp
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
