"""Public keys and secrets that check signatures, with the algorithms that each may be used for.

The algorithm of a token is never trusted by itself: a key of one type accepts only the algorithms
of that type, so that a public RSA key can never serve as an HMAC secret (RFC 8725, 2.1 and 3.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.runtime.observing.logs import get_logger

MIN_SECRET_BYTES: Final = 32
_MIN_RSA_BITS: Final = 2048
_MAX_KEYS: Final = 64
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_HMAC: Final = frozenset({"HS256", "HS384", "HS512"})
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_HEX_SECRET: Final = re.compile(rf"[0-9a-fA-F]{{{2 * MIN_SECRET_BYTES},1024}}")
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


class KeyFormatError(ValueError):
    """A file or an answer holds no usable keys; the text says what is wrong."""


class UnsupportedKeyError(KeyFormatError):
    """A key is of a type or strength that is not accepted; others in the same set may be."""


@dataclass(frozen=True)
class VerificationKey:
    """A key that checks signatures.

    Attributes:
        kid: The id by which tokens name it; empty: it is tried for every token.
        algorithms: The algorithms that it may be used for.
        key: The public key, or the secret.
    """

    kid: str
    algorithms: frozenset[str]
    key: Any

    def fits(self, kid: str, algorithm: str) -> bool:
        """Reports whether the key may check a token with this id and algorithm."""
        return algorithm in self.algorithms and (not self.kid or not kid or self.kid == kid)


def parse_keys(data: bytes, *, secrets: bool) -> tuple[VerificationKey, ...]:
    """Returns the keys in a JSON Web Key Set, in PEM public keys, or a secret in hexadecimal.

    Args:
        data: The content of a file or of an answer.
        secrets: Whether HMAC secrets are accepted; never from an address that anybody can read.

    Raises:
        KeyFormatError: It is none of these, or a key is too weak or private.
    """
    text = data.strip()
    if text.startswith(b"{"):
        keys = _from_json(text, secrets=secrets)
    elif b"-----BEGIN" in text:
        keys = _from_pem(text)
    elif secrets:
        keys = (VerificationKey("", _HMAC, parse_secret(text)),)
    else:
        raise KeyFormatError("it is not a JSON Web Key Set")
    if not keys:
        raise KeyFormatError("it holds no key that checks signatures")
    return keys[:_MAX_KEYS]


def parse_secret(text: bytes) -> bytes:
    """Returns the bytes of a secret that is written as hexadecimal digits.

    Raises:
        KeyFormatError: It is not that, or shorter than 32 bytes.
    """
    written = text.strip().decode("ascii", "replace")
    if not _HEX_SECRET.fullmatch(written) or len(written) % 2:
        raise KeyFormatError(
            "it is neither a JSON Web Key Set nor PEM nor a secret of at least "
            f"{2 * MIN_SECRET_BYTES} hexadecimal digits"
        )
    return bytes.fromhex(written)


def algorithms_of(key: Any) -> frozenset[str]:
    """Returns the algorithms that a public key or secret may be used for.

    Raises:
        KeyFormatError: The type is not supported, or the key is too weak.
    """
    if isinstance(key, bytes):
        if len(key) < MIN_SECRET_BYTES:
            raise KeyFormatError(f"a secret has {len(key)} bytes, fewer than {MIN_SECRET_BYTES}")
        return _HMAC
    if isinstance(key, RSAPublicKey):
        if key.key_size < _MIN_RSA_BITS:
            raise UnsupportedKeyError(
                f"an RSA key has {key.key_size} bits, fewer than {_MIN_RSA_BITS}"
            )
        return _RSA
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset({_CURVES[key.curve.name]})
    if isinstance(key, Ed25519PublicKey):
        return frozenset({"EdDSA"})
    raise UnsupportedKeyError("a key has an unsupported type; use Ed25519, ECDSA, RSA or a secret")


def _from_json(text: bytes, *, secrets: bool) -> tuple[VerificationKey, ...]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise KeyFormatError("it is not JSON") from None
    entries = given.get("keys", [given]) if isinstance(given, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KeyFormatError("it is not a JSON Web Key Set")
    found: list[VerificationKey] = []
    problems: list[UnsupportedKeyError] = []
    for entry in entries[:_MAX_KEYS]:
        try:
            if (key := _from_jwk(entry, secrets)) is not None:
                found.append(key)
        except UnsupportedKeyError as problem:
            problems.append(problem)
    if problems and not found:
        raise problems[0]
    for passed_over in problems:
        get_logger().warning("a key is passed over", problem=str(passed_over))
    return tuple(found)


def _from_jwk(entry: Mapping[str, Any], secrets: bool) -> VerificationKey | None:
    """Returns the key; None: it is for another purpose, as key sets of providers hold them."""
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP", "oct"):
        return None
    if entry["kty"] == "oct" and not secrets:
        raise KeyFormatError("it holds a secret, which must not be at an address")
    if "d" in entry:
        raise KeyFormatError("it holds a private key; publish only the public part")
    try:
        key = jwt.PyJWK(dict(entry), algorithm=_first_algorithm(entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise UnsupportedKeyError(f"a key cannot be read: {error}") from None
    algorithms = algorithms_of(key)
    if named := entry.get("alg"):
        algorithms &= {str(named)}
    kid = entry.get("kid", "")
    return VerificationKey(str(kid), algorithms, key) if algorithms else None


def _first_algorithm(entry: Mapping[str, Any]) -> str | None:
    # PyJWT takes the algorithm of the entry, or guesses; only RSA and secrets need a hint.
    return {"oct": "HS256", "RSA": "RS256"}.get(entry["kty"])


def _from_pem(text: bytes) -> tuple[VerificationKey, ...]:
    found = []
    for block in _PEM_BLOCK.finditer(text):
        if b"PRIVATE" in block[1]:
            raise KeyFormatError("it holds a private key; whoever only checks needs the public one")
        try:
            key = load_pem_public_key(block[0])
        except ValueError:
            raise KeyFormatError("a PEM block is not a public key") from None
        found.append(VerificationKey("", algorithms_of(key), key))
    return tuple(found)
