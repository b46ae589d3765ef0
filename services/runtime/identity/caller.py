"""The caller of the current call or request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.runtime.errors import InvalidRequest, PermissionDenied, Unauthenticated
from services.runtime.validation import check_text


class Mode(StrEnum):
    """How callers are told apart."""

    OPEN = "open"
    """No token; only for addresses of this machine."""
    SHARED = "shared"
    """One token for one household: whoever holds it may do everything."""
    IDENTITIES = "identities"
    """Each caller has a signed token of its own."""


class Role(StrEnum):
    """What a caller is for; a token may name several."""

    PERSON = "person"
    """Own memory, documents and avatars."""
    OPERATOR = "operator"
    """The persona's documents, and all avatars."""
    SERVICE = "service"
    """A service of the mesh or a trusted program: names the user for whom it acts."""


MAX_USER_ID_CHARS: Final = 128
EVERY_ROLE: Final = frozenset(Role)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A caller whose token was checked.

    Attributes:
        mode: How it was told apart from others.
        user_id: The user whose token it is; None: the token, if any, belongs to no single user.
        roles: What the caller may be.
        peer: The network address of the caller, if known.
        expires_unix_s: When the token is no longer accepted, s since 1970; None: never.
    """

    mode: Mode
    user_id: str | None = None
    roles: frozenset[Role] = EVERY_ROLE
    peer: str = ""
    expires_unix_s: float | None = None

    @property
    def key(self) -> str:
        """What to count limits by: "user:ada", "service:gateway", "shared", or the peer."""
        if self.mode is Mode.IDENTITIES:
            return f"{'service' if self.acts_for_others else 'user'}:{self.user_id}"
        return self.mode.value if self.mode is Mode.SHARED or not self.peer else self.peer

    @property
    def is_bound(self) -> bool:
        """Whether the caller acts only as the user of its token."""
        return self.mode is Mode.IDENTITIES and not self.acts_for_others

    @property
    def acts_for_others(self) -> bool:
        """Whether the caller names the user itself, as services do."""
        return Role.SERVICE in self.roles

    @property
    def manages(self) -> bool:
        """Whether the caller may change what belongs to the installation or to anybody."""
        return not self.is_bound or Role.OPERATOR in self.roles

    @property
    def acts_as(self) -> str:
        """The user in whose name avatars are used; empty: the installation's, which has all."""
        return "" if self.manages else self.user_id or ""

    def has(self, roles: frozenset[Role]) -> bool:
        """Reports whether the caller has one of the roles."""
        return bool(self.roles & roles)

    def user_of(self, requested: str, *, field: str = "user_id") -> str:
        """Returns the user for whom a request is made.

        Args:
            requested: The user that the request names; empty: none.
            field: The field of the request, for the error.

        Returns:
            The user of the token for a caller with a token of its own, otherwise `requested`.

        Raises:
            PermissionDenied: The request names another user than the token.
        """
        if not self.is_bound:
            return requested
        own = self.user_id or ""
        if requested not in ("", own):
            raise not_yours(f"{field}: the token is of another user; leave the field empty")
        return own


def check_user_id(field: str, user_id: str) -> None:
    """Checks that a user id is 1 to 128 printable characters.

    Raises:
        InvalidRequest: It is not.
    """
    check_text(field, user_id, MAX_USER_ID_CHARS)
    if not user_id.isprintable():
        raise InvalidRequest(f"{field}: contains a character that cannot be printed")


def token_expired() -> Unauthenticated:
    """Returns the error for a token that has ended."""
    return Unauthenticated(
        "authorization: the token has expired; get a new one", reason="TOKEN_EXPIRED"
    )


def not_yours(message: str) -> PermissionDenied:
    """Returns the error for something that belongs to another user."""
    return PermissionDenied(message, reason="NOT_YOURS")


OPEN: Final = Identity(mode=Mode.OPEN)
"""The caller where no token is needed."""

_caller: ContextVar[Identity] = ContextVar("anima_caller", default=OPEN)


def caller() -> Identity:
    """Returns the caller of the current call; `OPEN` outside of calls."""
    return _caller.get()


@contextmanager
def acting_as(identity: Identity) -> Iterator[Identity]:
    """Makes an identity the caller for the body."""
    token = _caller.set(identity)
    try:
        yield identity
    finally:
        _caller.reset(token)


@asynccontextmanager
async def while_accepted(identity: Identity) -> AsyncIterator[None]:
    """Ends the body when the token of a person or an operator ends.

    The calls of services are short, except for those that other services keep open for them.

    Raises:
        Unauthenticated: The token has ended.
    """
    if not identity.is_bound or identity.expires_unix_s is None:
        yield
        return
    try:
        async with asyncio.timeout(identity.expires_unix_s - time.time()) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise token_expired() from None
        raise
