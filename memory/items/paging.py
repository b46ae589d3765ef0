"""Page tokens: the start of the next page of a list, opaque to callers."""

import base64
import binascii
import hashlib
import struct

from memory.items.item import Position
from services.runtime.errors import InvalidRequest

_FORM = struct.Struct(">Bqq8s")
_VERSION = 1


def page_token(user_id: str, position: Position) -> str:
    """Returns the token for a position in a user's list."""
    packed = _FORM.pack(
        _VERSION, position.created_unix_ms, position.row_id, _seal(user_id, position)
    )
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def position_of(user_id: str, token: str) -> Position:
    """Parses a token.

    Raises:
        InvalidRequest: It is not a token of this user's list.
    """
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, created_unix_ms, row_id, seal = _FORM.unpack(packed)
    except (binascii.Error, struct.error, ValueError):
        raise _refusal() from None
    position = Position(created_unix_ms=created_unix_ms, row_id=row_id)
    if version != _VERSION or seal != _seal(user_id, position):
        raise _refusal()
    return position


def _seal(user_id: str, position: Position) -> bytes:
    # Not a secret, since a position reveals nothing; it detects truncated, mixed up or invented
    # tokens.
    text = f"{user_id}\0{position.created_unix_ms}\0{position.row_id}"
    return hashlib.sha256(text.encode()).digest()[:8]


def _refusal() -> InvalidRequest:
    return InvalidRequest("page_token: must be the next_page_token of a list of this user")
