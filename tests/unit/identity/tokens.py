"""Keys and tokens for the tests of identities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.runtime.identity.caller import Role
from services.runtime.identity.signing import Signer, SigningKey

KEY = SigningKey.new()
SIGNER = Signer(key=KEY, issuer="anima", audience="anima")


def token(user_id: str = "ada", *roles: str, lifetime_s: float = 600.0, **change: Any) -> str:
    """Returns a signed token; without roles that of a person."""
    signer = replace(SIGNER, **change)
    wanted = [Role(role) for role in roles or ("person",)]
    return signer.sign(user_id, wanted, lifetime_s=lifetime_s)


def jwks(*keys: SigningKey) -> bytes:
    """Returns the key set of the public keys."""
    return json.dumps({"keys": [key.public_jwk for key in keys]}).encode()


def key_file(folder: Path, *keys: SigningKey) -> Path:
    """Writes the public keys, those of `token` by default."""
    path = folder / "keys.json"
    path.write_bytes(jwks(*keys or (KEY,)))
    return path


def signing_key_file(folder: Path, key: SigningKey = KEY) -> Path:
    """Writes the private key, that of `token` by default."""
    path = folder / "signing.pem"
    path.write_bytes(key.private_pem())
    return path
