"""Checks signed tokens (JSON Web Tokens, RFC 7519) as RFC 8725 recommends."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import jwt

from services.runtime.errors import InvalidRequest, Unavailable
from services.runtime.identity.bearer import token_missing, token_wrong
from services.runtime.identity.caller import Identity, Mode, Role, check_user_id, token_expired
from services.runtime.identity.key_sources import KeyFile, KeySource
from services.runtime.identity.keys import KeyFormatError, VerificationKey
from services.runtime.identity.settings import IdentitySettings, refuse_two_modes
from services.runtime.identity.verifier import Verifier

MAX_TOKEN_CHARS: Final = 8_192
_LATEST_UNIX_S: Final = 253_402_300_799.0
"""The end of the year 9999: larger numbers are no times."""
_MAX_CACHED: Final = 4_096
_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt")
_REQUIRED: Final = ["exp", "iss", "aud", "sub"]


class SignedTokenVerifier(Verifier):
    """Accepts tokens signed with known keys; each caller acts as the user in its token.

    A token that was accepted is kept by its hash until it ends or the keys change, so that a
    signature is checked once and not with every call.

    Args:
        sources: Where the keys come from.
        settings: Issuer, audience, the claim of the roles, and the leeway.
        unix_s: The clock, s since 1970.
    """

    mode = Mode.IDENTITIES

    def __init__(
        self,
        sources: Sequence[KeySource],
        settings: IdentitySettings,
        *,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._settings = settings
        self._unix_s = unix_s
        self._known: OrderedDict[bytes, Identity] = OrderedDict()
        self._version = -1

    async def of_token(self, token: object, *, peer: str = "") -> Identity:
        """Returns the owner of a signed token."""
        if not isinstance(token, str) or not token:
            raise token_missing()
        if len(token) > MAX_TOKEN_CHARS:
            raise token_wrong(f"authorization: the token is longer than {MAX_TOKEN_CHARS}")
        for source in self._sources:
            source.tick()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        identity = self._remembered(digest)
        if identity is None:
            identity = self._identity_of(await self._claims_of(token))
        if identity.peer != peer or digest not in self._known:
            identity = replace(identity, peer=peer)
            self._keep(digest, identity)
        return identity

    async def close(self) -> None:
        """Ends the reading of keys."""
        for source in self._sources:
            await source.close()

    def _remembered(self, digest: bytes) -> Identity | None:
        version = sum(source.version for source in self._sources)
        if version != self._version:
            self._known.clear()
            self._version = version
        identity = self._known.get(digest)
        if identity is None or identity.expires_unix_s is None:
            return None
        if identity.expires_unix_s <= self._unix_s():
            del self._known[digest]
            raise token_expired()
        self._known.move_to_end(digest)
        return identity

    def _keep(self, digest: bytes, identity: Identity) -> None:
        self._known[digest] = identity
        while len(self._known) > _MAX_CACHED:
            self._known.popitem(last=False)

    async def _claims_of(self, token: str) -> Mapping[str, Any]:
        kid, algorithm = _head_of(token)
        keys = self._keys_for(kid, algorithm)
        if not keys:
            for source in self._sources:
                await source.refresh()
            keys = self._keys_for(kid, algorithm)
        if not keys:
            if not all(source.keys for source in self._sources):
                raise Unavailable(
                    "the keys that check tokens cannot be fetched; try again",
                    reason="KEYS_UNAVAILABLE",
                )
            raise token_wrong("authorization: the token is signed with a key that is not known")
        for key in keys:
            try:
                return self._decoded(token, key, algorithm)
            except jwt.InvalidSignatureError:
                continue
        raise token_wrong("authorization: the signature of the token is wrong")

    def _keys_for(self, kid: str, algorithm: str) -> list[VerificationKey]:
        return [key for source in self._sources for key in source.keys if key.fits(kid, algorithm)]

    def _decoded(self, token: str, key: VerificationKey, algorithm: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=self._settings.identity_issuer,
                audience=self._settings.identity_audience,
                leeway=self._settings.identity_leeway_s,
                options={"require": _REQUIRED},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise token_expired() from None
        except jwt.ImmatureSignatureError:
            raise token_wrong("authorization: the token is not valid yet") from None
        except jwt.InvalidIssuerError:
            raise token_wrong("authorization: the token has another issuer") from None
        except jwt.InvalidAudienceError:
            raise token_wrong("authorization: the token is for another audience") from None
        except jwt.MissingRequiredClaimError as error:
            raise token_wrong(f"authorization: the token has no claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise token_wrong() from None

    def _identity_of(self, claims: Mapping[str, Any]) -> Identity:
        user_id = claims["sub"]
        try:
            check_user_id("sub", user_id)
        except InvalidRequest as error:
            raise token_wrong(f"authorization: the token names no user: {error}") from None
        if claims["exp"] > _LATEST_UNIX_S:
            raise token_wrong("authorization: the end of the token (exp) is not a time")
        return Identity(
            mode=Mode.IDENTITIES,
            user_id=user_id,
            roles=_roles_of(claims, self._settings.identity_role_claim),
            expires_unix_s=claims["exp"] + self._settings.identity_leeway_s,
        )


def signed_token_verifier(settings: IdentitySettings) -> SignedTokenVerifier:
    """Returns the verifier for the keys of the settings.

    Raises:
        ValueError: The settings contradict each other, or the keys cannot be used; the text names
            the variable.
    """
    refuse_two_modes(settings)
    sources: list[KeySource] = []
    if settings.identity_keys_file is not None:
        try:
            sources.append(KeyFile(settings.identity_keys_file))
        except KeyFormatError as error:
            raise ValueError(
                f"ANIMA_IDENTITY_KEYS_FILE: {settings.identity_keys_file}: {error}"
            ) from None
    if settings.identity_keys_url:
        from services.runtime.identity.key_address import KeyAddress  # needs an HTTP client

        sources.append(KeyAddress(settings.identity_keys_url))
    return SignedTokenVerifier(sources, settings)


def _head_of(token: str) -> tuple[str, str]:
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise token_wrong("authorization: the token is not a signed token (JWT)") from None
    if str(head.get("typ", "jwt")).lower() not in _TYPES or "crit" in head:
        raise token_wrong("authorization: the token is of a type that is not accepted")
    return str(head.get("kid") or ""), str(head.get("alg") or "")


def _roles_of(claims: Mapping[str, Any], name: str) -> frozenset[Role]:
    value: Any = claims
    for step in [name] if name in claims else name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    given = value.split() if isinstance(value, str) else value
    if not isinstance(given, list):
        return frozenset()
    return frozenset(role for role in Role if role.value in given)
