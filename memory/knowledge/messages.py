"""Documents and passages as messages: validation and conversion."""

import json
import uuid
from typing import Final

from anima.memory import v1 as wire
from memory.knowledge.document import Document, FoundPassage, Owner, Passage
from services.runtime.errors import InvalidRequest
from services.runtime.validation import check_name, check_text, check_turn_id, cleaned_text

MAX_USER_ID_CHARS: Final = 128
MAX_TEXT_CHARS: Final = 8_000
MAX_METADATA_CHARS: Final = 8_000


def checked_owner(owner: wire.KnowledgeOwner) -> Owner:
    """Returns the owner of the knowledge base that a call concerns.

    Raises:
        InvalidRequest: The owner is missing or invalid.
    """
    match owner.WhichOneof("owner"):
        case "user_id":
            check_name("owner.user_id", owner.user_id, MAX_USER_ID_CHARS)
            return Owner(user_id=owner.user_id)
        case "persona":
            check_turn_id("owner.persona", owner.persona)
            return Owner(persona=owner.persona)
    raise InvalidRequest("owner: user_id or persona must be set")


def checked_passage(field: str, passage: wire.Passage) -> Passage:
    """Validates and converts a received passage.

    Raises:
        InvalidRequest: The passage is invalid; the text names the field.
    """
    text = cleaned_text(f"{field}.text", passage.text, MAX_TEXT_CHARS)
    if passage.passage_id:
        check_turn_id(f"{field}.passage_id", passage.passage_id)
    if passage.HasField("citation"):
        raise InvalidRequest(f"{field}.citation: is allowed only for passages of documents")
    if passage.metadata_json:
        _check_metadata(f"{field}.metadata_json", passage.metadata_json)
    return Passage(
        passage_id=passage.passage_id or uuid.uuid4().hex,
        text=text,
        metadata_json=passage.metadata_json,
    )


def _check_metadata(field: str, metadata_json: str) -> None:
    check_text(field, metadata_json, MAX_METADATA_CHARS)
    try:
        is_object = isinstance(json.loads(metadata_json), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise InvalidRequest(f"{field}: must be a JSON object")


def document_message(document: Document) -> wire.Document:
    """Converts a document to its message."""
    return wire.Document(
        document_id=document.document_id,
        title=document.title,
        source_uri=document.source_uri,
        media_type=document.media_type,
        sha256=document.sha256,
        size_bytes=document.size_bytes,
        page_count=document.page_count,
        passage_count=document.passage_count,
        added_unix_ms=document.added_unix_ms,
    )


def passage_message(passage: Passage) -> wire.Passage:
    """Converts a passage to its message."""
    citation = None
    if passage.document is not None:
        citation = wire.Citation(
            document_id=passage.document.document_id,
            title=passage.document.title,
            source_uri=passage.document.source_uri,
            heading=passage.heading,
            page=passage.page,
            number=passage.number,
        )
    return wire.Passage(
        passage_id=passage.passage_id,
        text=passage.text,
        citation=citation,
        metadata_json=passage.metadata_json,
    )


def found_message(found: FoundPassage) -> wire.RecalledPassage:
    """Converts a passage that was found to its message."""
    return wire.RecalledPassage(
        passage=passage_message(found.passage),
        score=found.score,
        vector_score=found.vector_score,
        lexical_score=found.lexical_score,
    )
