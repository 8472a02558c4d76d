"""The guarded client against real sockets on loopback."""

import socket
import threading
from collections.abc import Callable, Mapping

import pytest

from egress.client import Client
from egress.errors import EgressDenied, EgressFailed
from egress.messages import Request
from tests.egress.calling import client_for, get, refused
from tests.egress.servers import answer, reset, says, serve


def test_an_allowed_private_place_is_called() -> None:
    with serve(says(answer(b"hello", content_type="text/plain"))) as seen:
        response = client_for(seen).send(get(f"{seen.url}/a?b=c", headers={"X-Token": "t"}))

    assert (response.status, response.body, response.headers["content-type"]) == (200, b"hello", "text/plain")
    assert seen.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"X-Token: t" in seen.requests[0]
    assert f"Host: 127.0.0.1:{seen.port}".encode() in seen.requests[0]


def test_what_comes_before_the_sending_can_stop_it() -> None:
    def stop() -> None:
        raise RuntimeError("not any more")

    with serve(says(answer())) as seen:
        client = client_for(seen)
        client.send(get(seen.url))
        for each in (client_for(seen), client):  # with a new connection, and with one that was kept
            with pytest.raises(RuntimeError, match="not any more"):
                each.send(get(seen.url, before_sent=stop))

        assert client.send(get(seen.url)).status == 200
    assert len(seen.requests) == 2


def test_a_body_is_sent_with_its_length() -> None:
    with serve(says(answer())) as seen:
        client_for(seen).send(Request("POST", seen.url, body=b'{"a": 1}'))

    assert seen.requests[0].endswith(b'\r\n\r\n{"a": 1}')
    assert b"Content-Length: 8" in seen.requests[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"]
)
def test_a_private_place_nobody_allowed_is_denied_before_anything_is_sent(host: str) -> None:
    with serve(says(answer())) as seen, pytest.raises(EgressDenied) as denied:
        Client().send(get(f"http://{host}:{seen.port}/"))

    assert not denied.value.sent
    assert seen.connections == 0


def test_another_port_of_an_allowed_host_is_denied() -> None:
    with serve(says(answer())) as allowed, serve(says(answer())) as other, pytest.raises(EgressDenied):
        client_for(allowed).send(get(other.url))

    assert other.connections == 0


def test_an_allowed_name_may_lead_to_a_private_address() -> None:
    with serve(says(answer())) as seen:
        client = Client(frozenset({("crm.internal", seen.port)}), resolver=lambda host, port: ["127.0.0.1"])

        assert client.send(get(f"http://crm.internal:{seen.port}/")).status == 200
        with pytest.raises(EgressDenied):
            client.send(get(f"http://other.internal:{seen.port}/"))

    assert f"Host: crm.internal:{seen.port}".encode() in seen.requests[0]


def test_a_name_that_also_leads_to_a_private_address_is_denied() -> None:
    client = Client(resolver=lambda host, port: ["93.184.215.14", "169.254.169.254"])

    with pytest.raises(EgressDenied) as denied:
        client.send(get("http://rebind.example/"))

    assert "169.254.169.254" not in denied.value.detail


def test_a_name_that_changes_its_mind_is_connected_to_only_as_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the first question is answered with a public address, every later one with loopback."""
    asked: list[str] = []
    connected: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    def spy(self: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address)
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", spy)
    with serve(says(answer(b"secret"))) as seen:
        client = Client(resolver=resolver)
        url = f"http://rebind.example:{seen.port}/"
        with pytest.raises(EgressFailed):
            client.send(get(url))
        with pytest.raises(EgressDenied):
            client.send(get(url))

    assert asked == ["rebind.example", "rebind.example"]
    assert connected == [("93.184.215.14", seen.port)]
    assert seen.connections == 0


def test_an_idle_connection_is_not_used_once_its_name_leads_elsewhere() -> None:
    answers = [["127.0.0.1"], ["127.0.0.1"], ["10.9.8.7"]]
    with serve(says(answer())) as seen:
        client = client_for(seen, resolver=lambda host, port: answers.pop(0))
        url = f"http://rebind.example:{seen.port}/"
        client.send(get(url))
        client.send(get(url))
        with pytest.raises(EgressDenied):
            client.send(get(url))

    assert (seen.connections, len(seen.requests)) == (1, 2)


def test_a_name_without_addresses_is_unreachable() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    with pytest.raises(EgressFailed) as failed:
        Client(resolver=resolver).send(get("http://nowhere.example/"))

    assert (failed.value.code, failed.value.sent) == ("unreachable", False)


def test_a_resolver_that_hangs_is_given_up() -> None:
    release = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        release.wait(30)
        return []

    try:
        with pytest.raises(EgressFailed) as failed:
            Client(resolver=resolver).send(get("http://slow.example/", timeout_s=0.2))
    finally:
        release.set()

    assert (failed.value.code, failed.value.sent) == ("timeout", False)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(says(answer(b"proxy"))) as proxy, serve(says(answer(b"direct"))) as seen:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)

        assert client_for(seen).send(get(seen.url)).body == b"direct"

    assert proxy.connections == 0


# What is known about a call that broke


def test_a_reset_after_the_request_says_that_it_was_sent() -> None:
    failed = refused(lambda sock, request, nth: reset(sock))

    assert (failed.code, failed.sent) == ("unreachable", True)


def test_an_answer_cut_in_the_middle_says_that_it_was_sent() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        sock.close()

    failed = refused(handler)

    assert failed.sent


def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EgressFailed) as failed:
        Client(frozenset({("127.0.0.1", port)})).send(Request("POST", f"http://127.0.0.1:{port}/", body=b"x"))

    assert (failed.value.code, failed.value.sent) == ("unreachable", False)


def test_an_early_answer_to_a_large_body_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def early() -> None:
            sock, _ = listener.accept()
            sock.recv(1000)
            sock.sendall(answer(b"too much", "413 Content Too Large"))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 20):
                pass
            sock.close()

        thread = threading.Thread(target=early)
        thread.start()
        client = Client(frozenset({("127.0.0.1", port)}))
        response = client.send(Request("POST", f"http://127.0.0.1:{port}/", body=bytes(1 << 20)))
        client.close()
        thread.join()

    assert (response.status, response.body) == (413, b"too much")


# Connections


def close_after(count: int) -> Callable[[socket.socket, bytes, int], None]:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        if nth == count:
            sock.close()
        else:
            sock.sendall(answer(str(nth).encode()))

    return handler


def test_a_connection_is_kept_for_the_next_request() -> None:
    with serve(says(answer())) as seen:
        client = client_for(seen)
        for _ in range(3):
            client.send(get(seen.url))

    assert (seen.connections, len(seen.requests)) == (1, 3)


def test_a_request_that_may_be_repeated_survives_a_kept_connection_that_dies() -> None:
    with serve(close_after(2)) as seen:
        client = client_for(seen)
        client.send(get(seen.url))

        assert client.send(get(seen.url)).body == b"3"


def test_a_request_that_may_not_be_repeated_gets_a_connection_of_its_own() -> None:
    with serve(says(answer())) as seen:
        client = client_for(seen)
        client.send(get(seen.url))
        client.send(Request("POST", seen.url, body=b""))

    assert (seen.connections, len(seen.requests)) == (2, 2)


def test_a_request_that_may_not_be_repeated_is_sent_once() -> None:
    with serve(lambda sock, request, nth: reset(sock)) as seen, pytest.raises(EgressFailed):
        client_for(seen).send(Request("POST", seen.url, body=b""))

    assert len(seen.requests) == 1


def test_many_threads_share_a_client() -> None:
    def echo(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(request.split(b" ")[1]))

    wrong: list[str] = []
    with serve(echo) as seen:
        client = client_for(seen)

        def calls(thread: int) -> None:
            for number in range(20):
                path = f"/{thread}/{number}"
                if client.send(get(seen.url + path)).body.decode() != path:
                    wrong.append(path)

        threads = [threading.Thread(target=calls, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert len(seen.requests) == 320
    assert seen.connections <= 16 + 16


# Headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"X-A": "s3cret\r\nX-B: c"},
        {"X-A": "s3cret\n"},
        {"X-A": "s3cret\x00"},
        {"X-A": "s3cret\u20ac"},
        {"X-A:": "s3cret"},
        {"X A": "s3cret"},
        {"": "s3cret"},
    ],
)
def test_a_header_that_could_smuggle_is_denied_without_quoting_it(headers: dict[str, str]) -> None:
    with serve(says(answer())) as seen, pytest.raises(EgressDenied) as denied:
        client_for(seen).send(get(seen.url, headers=headers))

    assert "s3cret" not in denied.value.detail
    assert seen.connections == 0


def test_a_body_is_passed_on_as_it_comes_in() -> None:
    heard: list[tuple[int, str] | bytes] = []
    gates = [threading.Event(), threading.Event()]

    def handler(peer: socket.socket, request: bytes, nth: int) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for gate in gates:
            peer.sendall(b"3\r\none\r\n")
            assert gate.wait(30)
        peer.sendall(b"0\r\n\r\n")

    def on_answer(status: int, headers: Mapping[str, str]) -> Callable[[bytes], None]:
        heard.append((status, headers["content-type"]))
        return on_piece

    def on_piece(piece: bytes) -> None:
        heard.append(piece)
        gates[len(heard) - 2].set()  # the server sends no more before it was heard

    with serve(handler) as seen:
        response = client_for(seen).send(Request("POST", seen.url, on_answer=on_answer))

    assert heard == [(200, "text/event-stream"), b"one", b"one"]
    assert (response.status, response.body) == (200, b"")


def test_a_body_that_is_passed_on_is_bounded_and_a_listener_may_leave() -> None:
    class Enough(Exception):
        pass

    def leave(piece: bytes) -> None:
        raise Enough

    with serve(says(answer(b"x" * 2000))) as seen:
        client = client_for(seen)
        with pytest.raises(Enough):
            client.send(get(seen.url, on_answer=lambda status, headers: leave))
        with pytest.raises(EgressFailed, match="larger than 1000 bytes"):
            client.send(get(seen.url, max_bytes=1000, on_answer=lambda status, headers: lambda piece: None))
    assert seen.connections == 2
