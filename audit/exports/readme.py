"""README.txt of a bundle: what it is, and how to verify it with tools that everybody has."""

from typing import Final

_TEXT: Final = r"""AUDIT BUNDLE OF {origin}

What is here

  checkpoint      the tree's head: origin, number of leaves, root; signed (c2sp.org/tlog-checkpoint, signed-note)
  vkey            the keys that verify it, newest first. Get them from elsewhere too, and compare.
  entries.jsonl   a line a leaf of the period: its index, the leaf, and the payload that the leaf commits to
  tile/           the tree's tiles and entry bundles that prove these leaves (c2sp.org/tlog-tiles)
  previous        the checkpoint at the period's start, an empty line, the proof that this log begins with that one
  witnessed/N     the checkpoint of N leaves as witnesses cosigned it (c2sp.org/tlog-cosignature), an empty line, the
                  proof that this log begins with that one; absent when no witness did
  manifest.json   the period, the SHA-256 of each file, which payloads are left out and why
  manifest.note   signs the manifest's SHA-256 with the log's key

All of it at once

  python3 audit-verify.pyz THIS_FOLDER --key VKEY --checkpoint AN_OLDER_CHECKPOINT

  or, in a checkout of the platform: python -m audit.verify THIS_FOLDER …
  It needs Python 3.11 or later and the package `cryptography`, and no network.

With stock tools

1. The signature of the checkpoint. A note is a text, an empty line, and lines `— name base64`; the base64 is 4 bytes of
   the key's id and 64 bytes of Ed25519. The last part of a vkey is base64 of the byte 1 and the 32 bytes of the key.

     sed '/^$/,$d' checkpoint > text
     sed -n 's/^— [^ ]* //p' checkpoint | head -n 1 | base64 -d | tail -c 64 > signature
     printf '\060\052\060\005\006\003\053\145\160\003\041\000' > key.der
     head -n 1 vkey | cut -d + -f 3- | base64 -d | tail -c 32 >> key.der
     openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text -sigfile signature

2. The manifest: the second line of manifest.note is the SHA-256 of manifest.json; its signature is verified likewise.

     sha256sum manifest.json
     sed -n 2p manifest.note

3. A leaf's hash is SHA-256 of the byte 0 and the leaf in canonical JSON (RFC 8785); a node's that of the byte 1 and its
   two children (RFC 6962, section 2.1). The leaves' hashes are in tile/0/…, 256 of 32 bytes in each full tile; the root
   of each full tile is in tile/1/…, and so on; the tree's root is in the checkpoint.

4. A payload is what its leaf commits to when SHA-256 of the salt's bytes and the payload's value in canonical JSON is
   the leaf's `commitment`.

A log that was rewritten as a whole and signed anew is told by comparing it with a checkpoint that somebody else kept.
"""


def readme(origin: str) -> str:
    """Return the text for a bundle of that log."""
    return _TEXT.format(origin=origin)
