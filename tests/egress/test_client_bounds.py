"""What a server that means harm, or sends nonsense, gets out of a client: no more time and memory than it was given."""

import gzip
import socket
import time

import pytest

from tests.egress.calling import client_for, get, refused
from tests.egress.servers import answer, says, serve


def trickle(sock: socket.socket, head: bytes, piece: bytes) -> None:
    sock.sendall(head)
    while True:
        time.sleep(0.05)
        sock.sendall(piece)


def test_a_server_that_never_answers_is_given_up() -> None:
    failed = refused(lambda sock, request, nth: time.sleep(1), timeout_s=0.2)

    assert (failed.code, failed.sent) == ("timeout", True)


def test_a_server_that_trickles_its_head_is_given_up() -> None:
    failed = refused(lambda sock, request, nth: trickle(sock, b"HTTP/1.1 200 OK\r\nX: ", b"x"), timeout_s=0.4)

    assert (failed.code, failed.sent) == ("timeout", True)


def test_a_server_that_trickles_its_body_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    failed = refused(lambda sock, request, nth: trickle(sock, head, b"x"), timeout_s=0.4)

    assert (failed.code, failed.sent) == ("timeout", True)


def test_a_server_that_sends_interim_answers_for_ever_is_given_up() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        while True:
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 100)

    assert refused(handler).code == "bad_answer"


def test_an_endless_answer_is_cut_at_the_bound() -> None:
    sent = 0

    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        nonlocal sent
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            sock.sendall(bytes(1024 * 1024))
            sent += 1

    assert refused(handler, max_bytes=100_000).code == "too_large"
    assert sent < 64


def test_an_endless_chunked_answer_is_cut_at_the_bound() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sock.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n")

    assert refused(handler, max_bytes=100_000).code == "too_large"


def test_a_head_without_end_is_refused() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            sock.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")

    assert refused(handler).code == "bad_answer"


def test_a_gzip_bomb_is_cut_at_the_bound() -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024))

    assert refused(says(answer(bomb, content_encoding="gzip")), max_bytes=1_000_000).code == "too_large"


def test_a_gzipped_answer_is_inflated_also_in_several_members() -> None:
    body = gzip.compress(b"a" * 100_000) + gzip.compress(b"b")
    with serve(says(answer(body, content_encoding="gzip"))) as seen:
        assert client_for(seen).send(get(seen.url)).body == b"a" * 100_000 + b"b"


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], b"\x1f\x8b"])
def test_a_damaged_gzip_answer_is_refused(body: bytes) -> None:
    assert refused(says(answer(body, content_encoding="gzip"))).code == "bad_answer"


def test_an_encoding_nobody_asked_for_is_refused() -> None:
    assert refused(says(answer(b"x", content_encoding="gzip, gzip"))).code == "bad_answer"


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_something_that_is_not_http_is_refused(data: bytes) -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(data)
        sock.close()

    assert refused(handler).code == "bad_answer"


def test_a_header_of_a_gigabyte_is_cut_at_the_bound() -> None:
    sent = 0

    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        nonlocal sent
        sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(1024):
            sock.sendall(b"x" * (1024 * 1024))
            sent += 1

    assert refused(handler).code == "bad_answer"
    assert sent < 64


def test_ten_thousand_headers_are_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"Content-Length: 0\r\n\r\n"

    assert refused(says(head)).code == "bad_answer"


@pytest.mark.parametrize(
    "piece",
    [
        b"1;" + b"x" * 30_000 + b"\r\ny\r\n",
        pytest.param(b"14\r\n" + gzip.compress(b"") + b"\r\n", id="empty gzip members"),
    ],
)
def test_a_body_of_almost_nothing_in_endless_bytes_is_cut(piece: bytes) -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        encoding = b"Content-Encoding: gzip\r\n" if b"\x1f\x8b" in piece else b""
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + encoding + b"\r\n")
        while True:
            sock.sendall(piece * 100)

    assert refused(handler, max_bytes=100_000, timeout_s=60.0).code == "too_large"


def test_trailers_without_end_are_refused() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        while True:
            sock.sendall(b"X: y\r\n" * 100)

    assert refused(handler).code == "bad_answer"


def test_a_body_in_chunks_of_one_byte_is_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    with serve(says(chunked)) as seen:
        assert client_for(seen).send(get(seen.url, max_bytes=50_000)).body == b"x" * 50_000


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nframes",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\nContent-Length : 3\n\nabc",
    ],
)
def test_an_answer_that_two_could_read_two_ways_is_refused(data: bytes) -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(data)
        sock.close()

    assert refused(handler).code == "bad_answer"


def test_a_second_answer_nobody_asked_for_is_not_taken_for_the_next_call() -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(b"right") + answer(b"poison"))

    with serve(handler) as seen:
        client = client_for(seen)
        bodies = [client.send(get(seen.url)).body for _ in range(3)]

    assert bodies == [b"right"] * 3
