"""The contents of a knowledge base. The fields are those of `anima.memory.v1`, validated."""

from dataclasses import dataclass

from anima.memory import v1 as wire


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a knowledge base; exactly one field is set."""

    user_id: str = ""
    persona: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A stored document."""

    document_id: str
    title: str
    source_uri: str
    media_type: str
    sha256: str
    size_bytes: int
    page_count: int
    """0 if it has no pages."""
    passage_count: int
    added_unix_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A stretch of text that is found as a unit."""

    passage_id: str
    text: str
    heading: str = ""
    """The headings above it, outermost first, joined by " > "."""
    page: int = 0
    """From 1; 0 if the document has no pages."""
    number: int = 0
    """Its position in the document, from 1; 0 if it belongs to none."""
    metadata_json: str = ""
    document: Document | None = None

    @property
    def searched_text(self) -> str:
        """The text by which the passage is found."""
        return searched_text(self.document.title if self.document else "", self.heading, self.text)


def searched_text(title: str, heading: str, text: str) -> str:
    """Joins a text with the title and the headings above it, so that all of them find it."""
    above = ". ".join(part for part in (title, heading.replace(" > ", ". ")) if part)
    return f"{above}. {text}" if above else text


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPassage:
    """A passage that was found, with its scores, each 0 to 1."""

    passage: Passage
    score: float
    vector_score: float
    lexical_score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A document as received."""

    name: str
    source_uri: str
    title: str
    """Empty means the title in the file."""
    sha256: str
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The progress of a document."""

    phase: wire.DocumentPhase.ValueType
    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """The result of adding a document."""

    document: Document
    change: wire.DocumentChange.ValueType


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentPosition:
    """The position of a document in the order of titles."""

    title: str
    document_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentPage:
    """A page of the list of documents, ordered by title."""

    documents: list[Document]
    next_position: DocumentPosition | None
    """The next page begins after it; None on the last page."""
    total_count: int
