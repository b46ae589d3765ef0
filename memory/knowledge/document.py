"""What a knowledge base holds. The fields are those of `anima.memory.v1`, checked."""

from dataclasses import dataclass

from anima.memory import v1 as wire


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose knowledge base it is: exactly one field is set."""

    user_id: str = ""
    persona: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document that is held."""

    document_id: str
    title: str
    source_uri: str
    media_type: str
    sha256: str
    size_bytes: int
    page_count: int
    """0: it has no pages."""
    passage_count: int
    added_unix_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A stretch of text that is found as one."""

    passage_id: str
    text: str
    heading: str = ""
    """The headings above it, outermost first, joined by " > "."""
    page: int = 0
    """From 1; 0: the document has no pages."""
    number: int = 0
    """Its place in the document, from 1; 0: it is no part of one."""
    metadata_json: str = ""
    document: Document | None = None

    @property
    def searched_text(self) -> str:
        """By what the passage is found."""
        return searched_text(self.document.title if self.document else "", self.heading, self.text)


def searched_text(title: str, heading: str, text: str) -> str:
    """Joins a text with the title and the headings above it, so that it is found by all."""
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
    """A document as it came."""

    name: str
    source_uri: str
    title: str
    """Empty: that of the file."""
    sha256: str
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a document is."""

    phase: wire.DocumentPhase.ValueType
    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """What became of a document."""

    document: Document
    change: wire.DocumentChange.ValueType


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentPosition:
    """Where a document stands in the order of titles."""

    title: str
    document_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentPage:
    """A part of the documents, by title."""

    documents: list[Document]
    next_position: DocumentPosition | None
    """After it the next page begins; None: there is none."""
    total_count: int
