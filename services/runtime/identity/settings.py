"""The settings that say who may call a server, and how its own calls to others are signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from services.runtime.identity.caller import Mode

HOW_TO_AUTHENTICATE: Final = "set ANIMA_TOKEN, ANIMA_IDENTITY_KEYS_FILE or ANIMA_IDENTITY_KEYS_URL"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class IdentitySettings(BaseSettings):
    """Tokens: none, one shared by a household, or one signed for each caller."""

    token: str | None = Field(default=None, repr=False)
    """Callers must send it as `authorization: Bearer TOKEN`; not set: no token is needed. A shared
    token is for one household: whoever holds it can read and erase everybody's memory. For users
    who must not read each other's memory set `ANIMA_IDENTITY_KEYS_FILE` or
    `ANIMA_IDENTITY_KEYS_URL` instead. One of the three is required when `listen` is not a loopback
    address. Programs that call a server, such as `anima ask`, read their token from here, signed
    ones too."""
    token_file: Path | None = None
    """A file that holds the token."""
    identity_keys_file: Path | None = None
    """The keys that check signed tokens: a JSON Web Key Set (`anima token key` makes one), PEM
    public keys, or a secret of at least 64 hexadecimal digits. Each caller then needs a token of
    its own, and the user id comes from it. Read again when it changes."""
    identity_keys_url: str = ""
    """The https address of a JSON Web Key Set, as OpenID providers have it, instead of the file or
    beside it. It is fetched in the background every 5 minutes, and when a token names an unknown
    key."""
    identity_issuer: str = Field(default="anima", min_length=1)
    """The `iss` that a signed token must have."""
    identity_audience: str = Field(default="anima", min_length=1)
    """The `aud` that a signed token must have, alone or among others."""
    identity_role_claim: str = Field(default="role", min_length=1)
    """The claim that holds the roles: a text or a list with `person`, `operator` or `service`;
    others in it are ignored. Dots lead into nested claims, such as `realm_access.roles`."""
    identity_leeway_s: float = Field(default=30.0, ge=0, le=600, allow_inf_nan=False)
    """By how much the clocks of issuer and server may differ."""
    identity_signing_key_file: Path | None = None
    """The private key (PEM) or secret with which a service signs the tokens of its own calls to
    other services: the gateway and the memory need this or `ANIMA_IDENTITY_SERVICE_TOKEN_FILE`."""
    identity_service_token_file: Path | None = None
    """A file that holds a signed token with the role `service` for these calls instead; read again
    when it changes, so that another program can renew it."""

    @property
    def mode(self) -> Mode:
        """How callers are told apart."""
        if self.identity_keys_file is not None or self.identity_keys_url:
            return Mode.IDENTITIES
        return Mode.OPEN if self.token is None else Mode.SHARED

    @property
    def signs_calls(self) -> bool:
        """Whether the service has a signed token for its own calls."""
        return bool(self.identity_signing_key_file or self.identity_service_token_file)

    @model_validator(mode="before")
    @classmethod
    def _read_token(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.get("token_file"):
            return data
        if data.get("token"):
            raise ValueError("ANIMA_TOKEN and ANIMA_TOKEN_FILE are both set; set one of them")
        return data | {"token": read_token_file(Path(data["token_file"]))}

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        if self.token is not None and (not self.token.isascii() or not self.token.isprintable()):
            raise ValueError("token: only printable ASCII characters are allowed in metadata")
        if self.identity_keys_url:
            _check_url(self.identity_keys_url)
            if "identity_issuer" not in self.model_fields_set:
                raise ValueError(
                    "ANIMA_IDENTITY_KEYS_URL is set without ANIMA_IDENTITY_ISSUER, the issuer that "
                    "its tokens name"
                )
        signing = self.identity_signing_key_file or self.identity_service_token_file
        if self.mode is not Mode.IDENTITIES:
            if signing is not None:
                raise ValueError(
                    f"{signing} signs tokens, but nobody checks them: set "
                    "ANIMA_IDENTITY_KEYS_FILE or ANIMA_IDENTITY_KEYS_URL too"
                )
        elif self.identity_signing_key_file and self.identity_service_token_file:
            raise ValueError(
                "ANIMA_IDENTITY_SIGNING_KEY_FILE and ANIMA_IDENTITY_SERVICE_TOKEN_FILE are both "
                "set; set one of them"
            )
        return self


def refuse_two_modes(settings: IdentitySettings) -> None:
    """Checks that a server is not told to share a token and to tell its callers apart.

    Not part of the model: a program that only calls a server has a signed token in `token`.

    Raises:
        ValueError: It is.
    """
    if settings.mode is Mode.IDENTITIES and settings.token is not None:
        raise ValueError(
            "ANIMA_TOKEN or ANIMA_TOKEN_FILE is set beside ANIMA_IDENTITY_KEYS_FILE or "
            "ANIMA_IDENTITY_KEYS_URL: a server has one shared token or checks signed ones; set one"
        )


def read_token_file(path: Path) -> str:
    """Returns the token in a file, without surrounding white space.

    Raises:
        ValueError: The file cannot be read or is empty.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"token_file: {path} cannot be read: {error}") from None
    if not token:
        raise ValueError(f"token_file: {path} is empty")
    return token


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ValueError("identity_keys_url: is not an address") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or not secure or parts.username is not None:
        raise ValueError("identity_keys_url: must begin with https:// and name no user")
