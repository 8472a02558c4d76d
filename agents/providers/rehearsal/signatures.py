"""Signatures of thinking blocks: made when a script thinks, verified when the block comes back.

The key is public: the rehearsal only has to notice blocks that were altered, as the real API does.
"""

import base64
import hashlib
import hmac

_KEY = b"countersign rehearsal"


def sign(thinking: str) -> str:
    """Return the signature of a thinking text, the same in every process."""
    digest = hmac.new(_KEY, thinking.encode(errors="surrogatepass"), hashlib.sha256).digest()
    return base64.b64encode(b"rehearsal:" + digest).decode()


def is_genuine(thinking: str, signature: str) -> bool:
    """Say whether the text is the one that was signed."""
    return hmac.compare_digest(sign(thinking).encode(), signature.encode(errors="replace"))


def redacted(text: str) -> str:
    """Return the `data` of a redacted thinking block: opaque, and verifiable."""
    hidden = base64.b64encode(text.encode()).decode()
    return f"{hidden}.{sign(hidden)}"


def is_genuine_redacted(data: str) -> bool:
    """Say whether `data` is what `redacted` made."""
    hidden, _, signature = data.partition(".")
    return is_genuine(hidden, signature)
