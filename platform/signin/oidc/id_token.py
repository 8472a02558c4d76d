"""ID tokens: what makes one believable (OpenID Connect Core 1.0, 3.1.3.7). Pure but for the clock.

allauth believes an ID token without its signature when it came over TLS, and knows no nonce. Here the signature always
counts, only asymmetric algorithms do, and every claim the specification asks for is looked at.
"""

import hmac
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from signin.oidc.errors import Refused

Json = Any

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

#: Seconds by which the provider's clock may differ.
LEEWAY_S: Final = 60

MAX_SUBJECT: Final = 191
_MAX_KEYS: Final = 100
_MAX_MODULUS: Final = 1400  # base64url of 8,192 bits: longer ones would only cost time

_REQUIRED: Final = ["iss", "sub", "aud", "exp", "iat"]

#: PyJWT's errors, by class, as our reasons.
_REASONS: Final[dict[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "id_token_expired",
    jwt.ImmatureSignatureError: "id_token_not_yet",
    jwt.InvalidIssuerError: "id_token_issuer",
    jwt.InvalidAudienceError: "id_token_audience",
    jwt.InvalidSignatureError: "id_token_signature",
}


def verified(token: object, *, keys: Json, issuer: str, client_id: str, nonce: str) -> dict[str, Json]:
    """Return the claims of a token that this issuer made for this client and this very sign-in.

    keys: the provider's JSON Web Key Set (RFC 7517). Raises `Refused`.
    """
    if not isinstance(token, str):
        raise Refused("id_token_missing")
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise Refused("id_token_algorithm", f"The ID token is signed by {algorithm!r}.")
        claims: dict[str, Json] = jwt.decode(
            token,
            key=_key(keys, header.get("kid"), algorithm),
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": _REQUIRED},
        )
    except jwt.PyJWTError as error:
        raise Refused(_REASONS.get(type(error), "id_token_malformed"), str(error)) from error
    _check_party(claims, client_id)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(errors="replace"), nonce.encode()):
        raise Refused("id_token_nonce", "The ID token was made for another sign-in.")
    _check_subject(claims["sub"])
    return claims


def _check_party(claims: dict[str, Json], client_id: str) -> None:
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise Refused("id_token_audience", "The ID token was made for another client as well.")


def _check_subject(subject: Json) -> None:
    if not (isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT and subject.isprintable()):
        raise Refused("id_token_subject", f"The ID token's subject is not 1 to {MAX_SUBJECT} printable characters.")


def _key(keys: Json, key_id: Json, algorithm: str) -> Any:
    listed = keys.get("keys")
    if not isinstance(listed, list):
        raise Refused("provider_keys", "The provider's keys are not a key set.")
    fitting = [each for each in listed[:_MAX_KEYS] if isinstance(each, dict) and _fits(each, key_id, algorithm)]
    if len(fitting) != 1:
        raise Refused("id_token_key", f"{len(fitting)} of the provider's keys fit the ID token's; one must.")
    try:
        return jwt.PyJWK.from_dict(fitting[0], algorithm=algorithm).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError) as error:
        raise Refused("provider_keys", "The provider's key cannot be read.") from error


def _fits(key: dict[str, Json], key_id: Json, algorithm: str) -> bool:
    return (
        (key_id is None or key.get("kid") == key_id)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and key.get("kty") in _kinds(algorithm)
        and len(str(key.get("n", ""))) <= _MAX_MODULUS
    )


def _kinds(algorithm: str) -> tuple[str, ...]:
    return {"R": ("RSA",), "P": ("RSA",)}.get(algorithm[0], ("OKP",) if algorithm == "EdDSA" else ("EC",))
