"""A witness, written from C2SP tlog-witness and tlog-cosignature: a real server on loopback with a state of its own.

It shares no code with the product. What it can be told to do wrong, real ones have done.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Refusal(Exception):
    """Answered with a status, and a body for 409."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Asked:
    """One request. old: the size it was said to know; hashes: of the proof. status: what was answered."""

    origin: str
    old: int
    size: int
    hashes: int
    status: int = 0


@dataclass
class Witness:
    """name: of its key. logs: the origins it knows, with their verifier keys. state: what it cosigned last.

    behaviour: `honest`, or a status that is answered to everything, `silent`, `huge`, or one of `_MADE_WRONG`. time:
    its clock's. fails: the status that is answered for a log, by origin.
    """

    name: str
    seed: bytes
    place: str = ""
    logs: dict[str, list[str]] = field(default_factory=dict)
    state: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    behaviour: str = "honest"
    fails: dict[str, int] = field(default_factory=dict)
    time: int = 1_800_000_000
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.place}/witness"

    @property
    def vkey(self) -> str:
        """signed-note's verifier key, of signature type 0x04."""
        material = b"\x04" + self._private.public_key().public_bytes_raw()
        return f"{self.name}+{self._key_id.hex()}+{base64.b64encode(material).decode()}"

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def _key_id(self) -> bytes:
        material = self._private.public_key().public_bytes_raw()
        return hashlib.sha256(self.name.encode() + b"\n\x04" + material).digest()[:4]

    def add_checkpoint(self, body: bytes) -> bytes:
        """Return the cosignature lines, having looked at all that the specification has a witness look at."""
        head, checkpoint = body.split(b"\n\n", 1)
        first, *lines = head.decode().split("\n")
        word, old_text = first.split(" ")
        text, signatures = checkpoint.decode().rsplit("\n\n", 1)
        origin, size_text, root_text, *_ = text.split("\n")
        asked = Asked(origin, int(old_text), int(size_text), len(lines))
        self.asked.append(asked)
        try:
            if origin in self.fails:
                raise Refusal(self.fails[origin], b"no size\n")
            if word != "old" or str(asked.old) != old_text or len(lines) > 63:
                raise Refusal(400)
            self._check_signature(origin, text + "\n", signatures)
            with self.lock:
                root = base64.b64decode(root_text)
                self._check_consistency(asked, root, [base64.b64decode(line) for line in lines])
                self.state[origin] = (asked.size, root)
            asked.status = 200
            return self.cosignature(text + "\n").encode()
        except Refusal as refusal:
            asked.status = refusal.status
            raise

    def cosignature(self, text: str) -> str:
        """Return the line of a cosignature/v1."""
        message = f"cosignature/v1\ntime {self.time}\n{text}".encode()
        data = self._key_id + self.time.to_bytes(8, "big") + self._private.sign(message)
        return f"\u2014 {self.name} {base64.b64encode(data).decode()}\n"

    def _check_signature(self, origin: str, text: str, signatures: str) -> None:
        if origin not in self.logs:
            raise Refusal(404)
        for key in self.logs[origin]:
            name, key_id, material = key.split("+", 2)
            for line in signatures.splitlines():
                _, signer, data = line.split(" ")
                raw = base64.b64decode(data)
                if (signer, raw[:4].hex()) == (name, key_id):
                    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(material)[1:])
                    try:
                        public.verify(raw[4:], text.encode())
                    except InvalidSignature:
                        continue
                    return
        raise Refusal(403)

    def _check_consistency(self, asked: Asked, root: bytes, proof: list[bytes]) -> None:
        if asked.old > asked.size:
            raise Refusal(400)
        size, known = self.state.get(asked.origin, (0, b""))
        if asked.old != size or (asked.old == asked.size and size and known != root):
            raise Refusal(409, f"{size}\n".encode())
        if asked.old == 0:
            if proof:
                raise Refusal(422)
            return
        try:
            old, new = _roots(asked.old, asked.size, proof, whole=True, old_root=known)
        except IndexError:
            raise Refusal(422) from None
        if proof or (old, new) != (known, root):
            raise Refusal(422)


def _roots(m: int, n: int, proof: list[bytes], *, whole: bool, old_root: bytes) -> tuple[bytes, bytes]:
    """Return both roots that PROOF(m, D[n]) leads to, taking it apart as RFC 6962, section 2.1.2, puts it together."""
    if m == n:
        found = old_root if whole else proof.pop()
        return found, found
    k = 1 << (n - 1).bit_length() - 1
    right = proof.pop()
    if m <= k:
        old, new = _roots(m, k, proof, whole=whole, old_root=old_root)
        return old, _node(new, right)
    old, new = _roots(m - k, n - k, proof, whole=False, old_root=old_root)
    return _node(right, old), _node(right, new)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@contextmanager
def witnessing(name: str = "witness.example/one", *, seed: bytes = bytes([7]) * 32) -> Iterator[Witness]:
    """Listen until the block is left."""
    witness = Witness(name, seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, kind, answer = answered(witness, self.path, body)
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                self.close_connection = True  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    witness.place = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield witness
    finally:
        witness.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answered(witness: Witness, path: str, body: bytes) -> tuple[int, str, bytes]:
    """Return status, type and body."""
    text = "text/plain; charset=utf-8"
    if path != "/witness/add-checkpoint":
        return 404, text, b""
    if witness.behaviour.isdigit():
        return int(witness.behaviour), text, b"no\n"
    if witness.behaviour == "silent":
        witness.released.wait(60)
        return 503, text, b""
    if witness.behaviour == "huge":
        return 200, text, "\u2014 a ".encode() + b"A" * 10_000_000
    try:
        cosigned = witness.add_checkpoint(body)
    except Refusal as refusal:
        return refusal.status, "text/x.tlog.size" if refusal.status == 409 else text, refusal.body
    wrong = _MADE_WRONG.get(witness.behaviour)
    return 200, text, wrong(witness, cosigned) if wrong else cosigned


def _another_text(witness: Witness, lines: bytes) -> bytes:
    return witness.cosignature("another.example/log\n1\nAAAA\n").encode()


def _another_key(witness: Witness, lines: bytes) -> bytes:
    return Witness("witness.example/other", bytes(32)).cosignature("a\n").encode()


def _cut(witness: Witness, lines: bytes) -> bytes:
    return lines[:-9]


def _with_a_text_of_its_own(witness: Witness, lines: bytes) -> bytes:
    return b"more\n\n" + lines


def _among_others(witness: Witness, lines: bytes) -> bytes:
    return _another_key(witness, lines) + lines


#: What it answers when it may cosign, by its behaviour.
_MADE_WRONG: dict[str, Callable[[Witness, bytes], bytes]] = {
    "another text": _another_text,
    "another key": _another_key,
    "cut": _cut,
    "a text of its own": _with_a_text_of_its_own,
    "among others": _among_others,
    "nothing": lambda witness, lines: b"",
    "no text": lambda witness, lines: b"\xff\xfe",
}
