"""TLS: the certificate is checked against the name although the connection goes to an address."""

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egress.client import Client
from egress.errors import EgressFailed
from egress.messages import Request
from tests.egress.servers import Seen, answer, says, serve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for crm.example, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("crm.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    return path


@pytest.fixture
def seen(certificate: Path) -> Iterator[Seen]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with serve(says(answer(b"tls")), wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        yield server


def client_for(seen: Seen, trusted: Path | None) -> Client:
    tls = ssl.create_default_context(cafile=trusted) if trusted else None
    return Client(frozenset({("127.0.0.1", seen.port)}), resolver=lambda host, port: ["127.0.0.1"], tls=tls)


def test_a_trusted_certificate_for_the_name_is_accepted_and_the_connection_kept(seen: Seen, certificate: Path) -> None:
    client = client_for(seen, certificate)
    for _ in range(3):
        assert client.send(Request("GET", f"https://crm.example:{seen.port}/")).body == b"tls"
    client.close()

    assert seen.connections == 1


def test_a_certificate_for_another_name_is_refused(seen: Seen, certificate: Path) -> None:
    with pytest.raises(EgressFailed) as failed:
        client_for(seen, certificate).send(Request("POST", f"https://other.example:{seen.port}/", body=b"x"))

    assert (failed.value.code, failed.value.sent) == ("unreachable", False)


def test_an_untrusted_certificate_is_refused(seen: Seen) -> None:
    with pytest.raises(EgressFailed):
        client_for(seen, None).send(Request("GET", f"https://crm.example:{seen.port}/"))


def test_the_name_and_not_the_address_is_asked_for(certificate: Path) -> None:
    asked: list[object] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, of: asked.append(name)
    with serve(says(answer(b"tls")), wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        client_for(server, certificate).send(Request("GET", f"https://crm.example:{server.port}/"))

    assert asked == ["crm.example"]
    assert f"Host: crm.example:{server.port}".encode() in server.requests[0]


@pytest.mark.parametrize("drips", [b"", b"\x16\x03\x03\x40\x00"])
def test_a_server_that_stalls_in_the_handshake_is_given_up(drips: bytes) -> None:
    def stall(sock: socket.socket) -> socket.socket:
        for byte in drips * 4000:
            sock.sendall(bytes([byte]))
            time.sleep(0.02)
        time.sleep(1)
        return sock

    with serve(says(b""), wrap=stall) as server, pytest.raises(EgressFailed) as failed:
        client_for(server, None).send(Request("GET", f"https://crm.example:{server.port}/", timeout_s=0.4))

    assert (failed.value.code, failed.value.sent) == ("timeout", False)


def test_something_that_is_not_tls_is_refused() -> None:
    with serve(says(answer(b"plain")), wrap=_talking) as server, pytest.raises(EgressFailed) as failed:
        client_for(server, None).send(Request("GET", f"https://crm.example:{server.port}/"))

    assert (failed.value.code, failed.value.sent) == ("unreachable", False)


def _talking(sock: socket.socket) -> socket.socket:
    sock.sendall(answer(b"plain"))
    return sock
