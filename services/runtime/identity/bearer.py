"""The value of `authorization`: one bearer token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.runtime.errors import Unauthenticated

AUTHORIZATION: Final = "authorization"
_SCHEME: Final = "bearer"


def bearer(token: str) -> str:
    """Returns the value of the header or metadata `authorization`."""
    return f"Bearer {token}"


def token_of(values: Sequence[str]) -> str:
    """Returns the token from all values of `authorization` of a request.

    Raises:
        Unauthenticated: There is no value, more than one, or no bearer token in it. Of two values
            a proxy may check one and a server the other, so both are refused.
    """
    if not values:
        raise token_missing()
    if len(values) > 1:
        raise token_wrong("authorization: is sent more than once; send one value")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != _SCHEME or not token.strip():
        raise token_wrong()
    return token.strip()


def token_missing() -> Unauthenticated:
    """Returns the error for a request without a token."""
    return Unauthenticated(
        "authorization: missing; send `authorization: Bearer TOKEN`", reason="TOKEN_MISSING"
    )


def token_wrong(message: str = "authorization: the token is wrong") -> Unauthenticated:
    """Returns the error for a token that is not accepted."""
    return Unauthenticated(message, reason="TOKEN_WRONG")
