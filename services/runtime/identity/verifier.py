"""Checks the token of a caller: none, the shared one, or a signed one."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Sequence

from services.runtime.config.settings import SettingsError
from services.runtime.identity.bearer import token_missing, token_of, token_wrong
from services.runtime.identity.caller import Identity, Mode
from services.runtime.identity.settings import IdentitySettings


class Verifier(ABC):
    """Finds out who calls.

    Attributes:
        mode: How callers are told apart.
    """

    mode: Mode

    async def of_header(self, values: Sequence[str], *, peer: str = "") -> Identity:
        """Returns the caller of a request.

        Args:
            values: All values of the header or metadata `authorization`.
            peer: The network address of the caller.

        Raises:
            Unauthenticated: There is no token, more than one, or one that is not accepted.
            Unavailable: The keys that check tokens are not at hand.
        """
        return await self.of_token(token_of(values), peer=peer)

    @abstractmethod
    async def of_token(self, token: object, *, peer: str = "") -> Identity:
        """Returns the owner of a token that was not sent as a header.

        Raises:
            Unauthenticated: The token is not accepted.
            Unavailable: The keys that check tokens are not at hand.
        """

    async def close(self) -> None:
        """Ends the work in the background."""
        return


class OpenVerifier(Verifier):
    """Accepts everybody."""

    mode = Mode.OPEN

    async def of_header(self, values: Sequence[str], *, peer: str = "") -> Identity:
        """Returns the caller; a header that is not needed must still be a single one."""
        if len(values) > 1:
            token_of(values)
        return Identity(mode=Mode.OPEN, peer=peer)

    async def of_token(self, token: object, *, peer: str = "") -> Identity:
        """Returns the caller."""
        return Identity(mode=Mode.OPEN, peer=peer)


class SharedTokenVerifier(Verifier):
    """Accepts one token.

    Args:
        token: The token of the household.
    """

    mode = Mode.SHARED

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def of_token(self, token: object, *, peer: str = "") -> Identity:
        """Returns the household if this is its token."""
        if not isinstance(token, str) or not token:
            raise token_missing()
        # compare_digest takes the same time wherever the first difference is
        if not hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token):
            raise token_wrong()
        return Identity(mode=Mode.SHARED, peer=peer)


def verifier_of(settings: IdentitySettings) -> Verifier:
    """Returns the verifier of a server.

    Raises:
        SettingsError: The settings contradict each other, or the keys cannot be used; the text
            names the variable.
    """
    if settings.mode is Mode.IDENTITIES:
        # Imported only now: most installations need neither keys nor an HTTP client here.
        from services.runtime.identity.signed_tokens import signed_token_verifier

        try:
            return signed_token_verifier(settings)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    return OpenVerifier() if settings.token is None else SharedTokenVerifier(settings.token)
