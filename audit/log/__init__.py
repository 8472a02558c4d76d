"""The transparency log's formats and proofs. Pure: standard library and `cryptography` only.

| module | governed by |
|---|---|
| merkle | RFC 6962, section 2.1: the hashes of a tree, and its proofs |
| tiles | C2SP tlog-tiles: the tree as files that never change |
| tree | the same, growing: what must be known to append |
| note | C2SP signed-note: text, signatures, verifier keys |
| checkpoint | C2SP tlog-checkpoint: the tree's head as the text of a note |
| proof | C2SP tlog-proof: a leaf's proof as a text of its own |
| witness | C2SP tlog-witness: what is said to those who cosign checkpoints, and what they may answer |
"""
