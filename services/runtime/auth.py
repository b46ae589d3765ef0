"""The token that every service can require."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from services.runtime.errors import Unauthenticated

AUTHORIZATION = "authorization"
_SCHEME = "bearer"


class TokenAuth:
    """Checks `authorization: Bearer TOKEN`; if no token is set, every caller is accepted."""

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token else None

    def check(self, metadata: Mapping[str, str]) -> None:
        """Rejects a caller without the token.

        Raises:
            Unauthenticated: The token is missing, malformed or wrong.
        """
        if self._token is None:
            return
        given = metadata.get(AUTHORIZATION)
        if given is None:
            raise Unauthenticated(
                "authorization: missing; send the metadata `authorization: Bearer TOKEN`",
                reason="TOKEN_MISSING",
            )
        scheme, _, token = given.partition(" ")
        if scheme.lower() != _SCHEME or not self.accepts(token):
            raise Unauthenticated("authorization: the token is wrong", reason="TOKEN_WRONG")

    def accepts(self, token: object) -> bool:
        """Reports whether this is the token; if no token is set, anything is accepted."""
        if self._token is None:
            return True
        # compare_digest takes the same time wherever the first difference is
        return isinstance(token, str) and hmac.compare_digest(
            token.strip().encode("utf-8", "replace"), self._token
        )


def bearer(token: str) -> str:
    """Returns the value of the metadata `authorization`."""
    return f"Bearer {token}"
