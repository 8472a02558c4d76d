"""Reading the body of an answer within a bound, whatever it claims or inflates to."""

import zlib
from collections.abc import Callable, Iterable, Iterator

from egress.errors import EgressFailed

_CHUNK = 64 * 1024
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def read_body(chunks: Iterable[bytes], *, encoding: str, max_bytes: int) -> bytes:
    """Return the decoded body. Raises EgressFailed `too_large` beyond `max_bytes`, `bad_answer` if it can't be decoded.

    encoding: the value of Content-Encoding. At most one of gzip and deflate is understood (no other is asked for).
    """
    body = bytearray()
    for piece in _decoded(chunks, encoding.strip().lower()):
        body += piece
        if len(body) > max_bytes:
            raise EgressFailed("too_large", f"The answer is larger than {max_bytes} bytes.", sent=True)
    return bytes(body)


def pass_body(chunks: Iterable[bytes], sink: Callable[[bytes], None], *, encoding: str, max_bytes: int) -> None:
    """Give the decoded body to `sink` as it comes in. Raises what `read_body` raises, and what the sink raises."""
    size = 0
    for piece in _decoded(chunks, encoding.strip().lower()):
        size += len(piece)
        if size > max_bytes:
            raise EgressFailed("too_large", f"The answer is larger than {max_bytes} bytes.", sent=True)
        if piece:
            sink(piece)


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        return iter(chunks)
    if encoding not in _WINDOWS:
        raise EgressFailed("bad_answer", "The answer is compressed in a way nobody asked for.", sent=True)
    return _inflated(chunks, _WINDOWS[encoding])


def _inflated(chunks: Iterable[bytes], window: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(window)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                yield inflate.decompress(data, _CHUNK)
                data = inflate.unconsumed_tail
                if inflate.eof and (data := inflate.unused_data):
                    inflate = zlib.decompressobj(window)  # a further gzip member (RFC 1952, 2.2)
        while tail := inflate.decompress(inflate.unconsumed_tail, _CHUNK):
            yield tail
    except zlib.error:
        raise EgressFailed("bad_answer", "The compressed answer is damaged.", sent=True) from None
    if not inflate.eof:
        raise EgressFailed("bad_answer", "The compressed answer is cut off.", sent=True)
