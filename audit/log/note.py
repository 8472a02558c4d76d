"""Signed notes and their keys (C2SP signed-note), and witnesses' cosignatures (C2SP tlog-cosignature). Pure.

A note is a text that ends in a newline, an empty line, and a line for each signature. Only Ed25519 is known here; other
signatures are unknown ones, which the specification has readers ignore.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: signed-note, "Signature types".
ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

#: Bounds on what is read: signed-note asks for a limit, and for at least 16 signatures.
MAX_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_DASH: Final = "\u2014 "
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64


class BadNote(ValueError):
    """That is no signed note."""


class BadKey(ValueError):
    """That is no verifier key."""


class NoteRefused(ValueError):
    """The note is not signed as it should be."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. name: the key's. key_id: 4 bytes. data: what the algorithm made."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, newline included."""
        return f"{_DASH}{self.name} {encode(self.key_id + self.data)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """What verifies a key's signatures (signed-note, "Verifier keys").

    name: without spaces and plus. algorithm: `ED25519` for a log, `COSIGNATURE` for a witness. public: 32 bytes.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ newline ‖ algorithm ‖ key)[:4] (signed-note, "Signatures")."""
        return key_id(self.name, self.algorithm, self.public)

    @property
    def text(self) -> str:
        """The key as it is handed around: `name+id+key`."""
        return f"{self.name}+{self.key_id.hex()}+{encode(bytes([self.algorithm]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read one. Raises `BadKey`, also for algorithms unknown here and for an id that is not the key's."""
        name, _, rest = text.partition("+")
        given_id, _, material = rest.partition("+")
        try:
            data = decode(material)
        except BadNote as error:
            raise BadKey(f"The verifier key of {name!r} is not base64.") from error
        if not _is_name(name) or len(data) != 1 + _KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
            raise BadKey("That is no verifier key of Ed25519: it is written name+id+key.")
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != given_id:
            raise BadKey(f"The verifier key of {name} says the id {given_id}; it is {key.key_id.hex()}.")
        return key

    def verifies(self, signature: Signature, text: str) -> bool:
        """Say whether the signature of this key is one of that text (tlog-cosignature for a witness)."""
        data, message = signature.data, text.encode()
        if self.algorithm == COSIGNATURE:
            if len(data) != 8 + _SIGNATURE_BYTES or data[0] & 0x80:  # times are below 2^63
                return False
            message = f"cosignature/v1\ntime {int.from_bytes(data[:8], 'big')}\n".encode() + message
            data = data[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(data, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """Signs notes with Ed25519 (signed-note, "Ed25519 signatures"; RFC 8032). name: the key's. seed: 32 bytes."""

    def __init__(self, name: str, seed: bytes) -> None:
        if not _is_name(name):
            raise BadKey(f"A key cannot be named {name!r}.")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, ED25519, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Return the signature of a note's text, which ends in a newline."""
        return Signature(self.key.name, self.key.key_id, self._private.sign(text.encode()))


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is written. text: ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def whole(self) -> str:
        """Text, empty line and signatures."""
        return self.text + "\n" + "".join(each.line for each in self.signatures)


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Return SHA-256(name ‖ newline ‖ algorithm ‖ public key)[:4] (signed-note, "Signatures")."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:_ID_BYTES]


def sign(text: str, signers: Iterable[Signer]) -> Note:
    """Return a note over the text by each of the signers. Raises `BadNote` for a text that cannot be one."""
    _check_text(text)
    return Note(text, tuple(each.sign(text) for each in signers))


def extended(data: bytes, lines: Iterable[str]) -> bytes:
    """Return a note with further signature lines behind its own (tlog-checkpoint, "Signatures": cosignatures)."""
    return data + "".join(lines).encode()


def parse(data: bytes) -> Note:
    """Read a note, whoever signed it (signed-note, "Format"). Raises `BadNote`."""
    if len(data) > MAX_BYTES:
        raise BadNote("A note of more than a million bytes is not read.")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise BadNote("A note is UTF-8.") from error
    text, separator, lines = whole.rpartition("\n\n")
    if not separator:
        raise BadNote("A note has an empty line between text and signatures.")
    text += "\n"
    _check_text(text)
    if not lines.endswith("\n"):
        raise BadNote("A note ends with a newline behind its last signature.")
    found = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(found) > MAX_SIGNATURES:
        raise BadNote(f"A note with more than {MAX_SIGNATURES} signatures is not read.")
    return Note(text, found)


def opened(data: bytes, keys: Iterable[VerifierKey]) -> tuple[Note, list[VerifierKey]]:
    """Return the note and those of the keys that signed it, in the order of their signatures.

    signed-note, "Signatures": signatures of unknown keys are ignored; one of a known key that fails refuses the whole
    note, and so does the lack of any. Raises `BadNote`, `NoteRefused`.
    """
    known = {(key.name, key.key_id): key for key in keys}
    read = parse(data)
    signed: list[VerifierKey] = []
    for signature in read.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(signature, read.text):
            raise NoteRefused(f"The signature of {key.name} ({key.key_id.hex()}) is not one of this text.")
        signed.append(key)
    if not signed:
        raise NoteRefused("None of the given keys has signed this.")
    return read, signed


def encode(data: bytes) -> str:
    """Return standard base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """Read standard base64, in its one right spelling. Raises `BadNote`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("That is not base64.") from error
    if encode(data) != text:
        raise BadNote("That is base64 with bits that say nothing.")
    return data


def _signature(line: str) -> Signature:
    name, space, data = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not _is_name(name):
        raise BadNote("A signature is a line of a dash, a key's name and base64.")
    decoded = decode(data)
    if len(decoded) <= _ID_BYTES:
        raise BadNote("A signature has a key's id of 4 bytes, and more.")
    return Signature(name, decoded[:_ID_BYTES], decoded[_ID_BYTES:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(each < " " and each != "\n" for each in text):
        raise BadNote("A note's text ends in a newline and has no other control characters.")


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(each.isspace() or each < " " for each in name)
