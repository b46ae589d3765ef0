"""The tokens with which a service calls others."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.runtime.config.settings import SettingsError
from services.runtime.identity.caller import Mode
from services.runtime.identity.settings import IdentitySettings, read_token_file
from services.runtime.observing.logs import get_logger

CallToken = Callable[[], str | None]
"""Returns the token of the next call; None: none is sent."""
_LOOK_EVERY_S: Final = 2.0


class TokenFile:
    """A token in a file that another program may renew.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read or is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = read_token_file(path)
        self._stamp = path.stat().st_mtime_ns
        self._looked_at_s = time.monotonic()

    def __call__(self) -> str:
        """Returns the token that the file held at most two seconds ago."""
        now = time.monotonic()
        if now - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now
            self._look()
        return self._token

    def _look(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._token, self._stamp = read_token_file(self._path), stamp
        except (OSError, ValueError) as error:
            get_logger().warning("the service token could not be read", problem=str(error))


def call_token(settings: IdentitySettings, name: str) -> CallToken:
    """Returns the tokens of the calls of a service, or of a command, to others.

    Args:
        settings: The settings of the service.
        name: The name of the service, the user of tokens that it signs itself.

    Raises:
        SettingsError: The key or the token cannot be read; the text names the variable.
    """
    if settings.token is not None or settings.mode is not Mode.IDENTITIES:
        return lambda: settings.token
    if settings.identity_service_token_file is not None:
        try:
            return TokenFile(settings.identity_service_token_file)
        except ValueError as error:
            raise SettingsError(f"ANIMA_IDENTITY_SERVICE_TOKEN_FILE: {error}") from None
    if settings.identity_signing_key_file is None:
        return lambda: None
    # Imported only now: most installations sign nothing.
    from services.runtime.identity.keys import KeyFormatError
    from services.runtime.identity.signing import SignedCalls, Signer, SigningKey

    try:
        key = SigningKey.read(settings.identity_signing_key_file)
    except KeyFormatError as error:
        raise SettingsError(
            f"ANIMA_IDENTITY_SIGNING_KEY_FILE: {settings.identity_signing_key_file}: {error}"
        ) from None
    signer = Signer(
        key=key,
        issuer=settings.identity_issuer,
        audience=settings.identity_audience,
        role_claim=settings.identity_role_claim,
    )
    return SignedCalls(signer, name)
