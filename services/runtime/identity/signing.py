"""Signs tokens: for `anima token`, and for the calls of one service to another."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import get_default_algorithms

from services.runtime.identity.caller import Role
from services.runtime.identity.keys import KeyFormatError, algorithms_of, parse_secret

_PREFERRED: Final = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "HS256")


@dataclass(frozen=True)
class SigningKey:
    """A key that signs tokens.

    Attributes:
        algorithm: The algorithm.
        key: The private key or the secret.
        kid: The id that its tokens carry: the thumbprint of the public key (RFC 7638); empty for a
            secret.
        public_jwk: The public key as a JSON Web Key; None for a secret.
    """

    algorithm: str
    key: Any
    kid: str
    public_jwk: dict[str, Any] | None

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Reads a private key in PEM without password, or a secret in hexadecimal.

        Raises:
            KeyFormatError: The file cannot be read or holds neither.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise KeyFormatError(f"it cannot be read: {error.strerror or error}") from None
        if b"-----BEGIN" not in content:
            return cls("HS256", parse_secret(content), "", None)
        try:
            private: Any = load_pem_private_key(content, password=None)
        except (ValueError, TypeError):
            raise KeyFormatError("it is not a private key in PEM without password") from None
        return cls.of_private(private)

    @classmethod
    def of_private(cls, private: Any) -> SigningKey:
        """Returns the key for a private key of `cryptography`.

        Raises:
            KeyFormatError: The type is not supported, or the key is too weak.
        """
        usable = algorithms_of(private.public_key())
        algorithm = next(name for name in _PREFERRED if name in usable)
        handler: Any = get_default_algorithms()[algorithm]
        public: dict[str, Any] = json.loads(handler.to_jwk(private.public_key()))
        public.pop("key_ops", None)
        kid = _thumbprint(public)
        public |= {"kid": kid, "alg": algorithm, "use": "sig"}
        return cls(algorithm, private, kid, public)

    @classmethod
    def new(cls) -> SigningKey:
        """Returns a new Ed25519 key."""
        return cls.of_private(Ed25519PrivateKey.generate())

    def private_pem(self) -> bytes:
        """Returns the private key in PEM, unencrypted."""
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Makes tokens that servers with the same settings accept.

    Attributes:
        key: The key.
        issuer: The claim `iss`.
        audience: The claim `aud`.
        role_claim: The claim that holds the roles; dots lead into nested claims.
    """

    key: SigningKey
    issuer: str
    audience: str
    role_claim: str = "role"

    def sign(
        self, user_id: str, roles: Iterable[Role], *, lifetime_s: float, unix_s: float | None = None
    ) -> str:
        """Returns a token.

        Args:
            user_id: The user, or the name of a service.
            roles: What the holder may be.
            lifetime_s: How long the token is accepted, s.
            unix_s: The time now, s since 1970; None: the clock's.
        """
        now = int(time.time() if unix_s is None else unix_s)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user_id,
            "iat": now,
            "nbf": now,
            "exp": now + round(lifetime_s),
        }
        place, *nested = reversed(self.role_claim.split("."))
        value: Any = {place: [role.value for role in roles]}
        for step in nested:
            value = {step: value}
        head = {"kid": self.key.kid} if self.key.kid else None
        return jwt.encode(claims | value, self.key.key, algorithm=self.key.algorithm, headers=head)


class SignedCalls:
    """The token of a service's calls to others, renewed before it ends.

    Args:
        signer: Signs it.
        name: The name of the service.
        lifetime_s: How long one token is accepted; it is renewed after half of that.
        unix_s: The clock, s since 1970.
    """

    def __init__(
        self,
        signer: Signer,
        name: str,
        *,
        lifetime_s: float = 3600.0,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._signer = signer
        self._name = name
        self._lifetime_s = lifetime_s
        self._unix_s = unix_s
        self._token = ""
        self._made_unix_s = float("-inf")

    def __call__(self) -> str:
        """Returns a token that is accepted for at least half of its lifetime."""
        now = self._unix_s()
        # A clock that was set back makes the token's start lie in the future.
        if not 0 <= now - self._made_unix_s < self._lifetime_s / 2:
            self._token = self._signer.sign(
                self._name, [Role.SERVICE], lifetime_s=self._lifetime_s, unix_s=now
            )
            self._made_unix_s = now
        return self._token


def _thumbprint(public: dict[str, Any]) -> str:
    """Returns the thumbprint of a public key: the hash of its required members (RFC 7638)."""
    members = {name: public[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in public}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
