"""Page tokens of the list of documents, opaque to callers."""

import base64
import binascii
import hashlib
import json

from memory.knowledge.document import DocumentPosition, Owner
from services.runtime.errors import InvalidRequest


def page_token(owner: Owner, position: DocumentPosition) -> str:
    """Returns the token for a position in an owner's list."""
    packed = json.dumps([_seal(owner, position), position.title, position.document_id])
    return base64.urlsafe_b64encode(packed.encode()).decode("ascii")


def position_of(owner: Owner, token: str) -> DocumentPosition:
    """Parses a token.

    Raises:
        InvalidRequest: It is not a token of this owner's list.
    """
    try:
        read = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        seal, title, document_id = read
        position = DocumentPosition(title=str(title), document_id=str(document_id))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _refusal() from None
    if seal != _seal(owner, position):
        raise _refusal()
    return position


def _seal(owner: Owner, position: DocumentPosition) -> str:
    # Not a secret, as in `memory.items.paging`: it detects tokens that were truncated, mixed up or
    # invented.
    text = "\0".join((owner.user_id, owner.persona, position.title, position.document_id))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _refusal() -> InvalidRequest:
    return InvalidRequest("page_token: must be the next_page_token of a list of this owner")
