"""A name server on loopback that speaks DNS over UDP (RFC 1035), and a resolver that asks it, once per question.

The guarded client asks the system's resolver; here that seam is taken by one that goes to our own server, so that a
name can change its mind between two questions.
"""

import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

A, CNAME, AAAA, IN = 1, 5, 28, 1

Zone = Callable[[str, int], Sequence[str]]


@dataclass
class Names:
    """What was asked. zone: the name and how often it was asked before → its addresses and, with a dot, aliases."""

    port: int
    zone: Zone
    asked: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        """Ask the server one question and return the addresses of its answer."""
        number = secrets.randbelow(65536)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.connect(("127.0.0.1", self.port))
            sock.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", A, IN))
            answer = sock.recv(4096)
        told, _, _, count, _, _ = struct.unpack_from("!6H", answer)
        assert told == number
        return list(_addresses(answer, 12 + len(labels) + 1 + 4, count))


@contextmanager
def name_server(zone: Zone) -> Iterator[Names]:
    """Serve `zone` with a time to live of nought."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    names = Names(sock.getsockname()[1], zone)

    def serve() -> None:
        while True:
            query, peer = sock.recvfrom(4096)
            if not query:
                return
            name = _name(query)
            answers = zone(name, names.asked.count(name))
            names.asked.append(name)
            head = query[:2] + struct.pack("!5H", 0x8180, 1, len(answers), 0, 0)
            sock.sendto(head + query[12:] + b"".join(map(_record, answers)), peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield names
    finally:
        sock.sendto(b"", sock.getsockname())
        thread.join()
        sock.close()


def _name(query: bytes) -> str:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels)


def _record(answer: str) -> bytes:
    """One resource record for the name asked (a pointer to the question)."""
    if answer.endswith("."):
        data = b"".join(bytes([len(label)]) + label.encode() for label in answer[:-1].split(".")) + b"\0"
        kind = CNAME
    else:
        address = ip_address(answer)
        data, kind = address.packed, A if isinstance(address, IPv4Address) else AAAA
    return b"\xc0\x0c" + struct.pack("!2HIH", kind, IN, 0, len(data)) + data


def _addresses(answer: bytes, at: int, count: int) -> Iterator[str]:
    for _ in range(count):
        kind, _, _, length = struct.unpack_from("!2HIH", answer, at + 2)
        data = answer[at + 12 : at + 12 + length]
        at += 12 + length
        if kind in (A, AAAA):
            yield str(ip_address(data))
