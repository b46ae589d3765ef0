"""Documents of strangers, read in worker processes."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memory.knowledge.document import File
from memory.knowledge.reading.blocks import MAX_PAGES, MAX_PASSAGE_CHARS, MAX_PASSAGES
from memory.knowledge.reading.forms import FORMS
from services.runtime.errors import FailedPrecondition
from services.runtime.observing.logs import get_logger
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.sandbox import Sandbox, WorkerError

MIN_CPU_S: Final = 15
CPU_S_PER_MIB: Final = 10
MAX_CPU_S: Final = 60
"""The CPU time per document grows with its size between these bounds, so that a small document
cannot occupy a reader for long."""
_WALL_PER_CPU: Final = 3
_MEDIA_TYPES: Final = frozenset(form.media_type for form in FORMS.values())
_LIMITS: Final = Limits(
    memory_bytes=2 << 30,
    cpu_s=MAX_CPU_S,
    wall_s=float(MAX_CPU_S * _WALL_PER_CPU),
    max_answer_bytes=64 << 20,
    niceness=10,  # speech has priority
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadPassage:
    """A passage produced by splitting."""

    text: str
    heading: str
    page: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadDocument:
    """The content of a document."""

    title: str
    media_type: str
    page_count: int
    passages: list[ReadPassage]


class Reader:
    """Reads documents, two at a time.

    A worker is forked from a process that has the parsers loaded. That process starts with the
    first document and ends a minute after the last one.
    """

    def __init__(
        self,
        *,
        tokenizer_json: str | None,
        max_cpu_s: int = MAX_CPU_S,
        max_wall_s: float | None = None,
        job: str = "memory.knowledge.reading.job",
    ) -> None:
        """Creates a reader.

        Args:
            tokenizer_json: The tokenizer of the encoder; None means passages are split by
                characters.
            max_cpu_s: The maximum CPU time per document, s; for small documents it is less.
            max_wall_s: The maximum time per document, s, also on a busy machine; None means three
                times the CPU time.
            job: The module that reads a document.
        """
        self._tokenizer = b"" if tokenizer_json is None else tokenizer_json.encode()
        self._max_cpu_s = max_cpu_s
        self._max_wall_s = max_wall_s
        self._sandbox = Sandbox(job, limits=_LIMITS)

    async def read(self, file: File) -> ReadDocument:
        """Reads a document.

        Raises:
            FailedPrecondition: It cannot be read; the text states why and what to do.
            Busy: Too many documents are waiting.
            Unavailable: No worker can be started.
        """
        cpu_s = min(self._max_cpu_s, cpu_s_for(len(file.content)))
        try:
            answer = await self._sandbox.call(
                {"file_name": file.name, "tokenizer_bytes": len(self._tokenizer)},
                self._tokenizer + file.content,
                cpu_s=cpu_s,
                wall_s=self._max_wall_s or cpu_s * _WALL_PER_CPU,
            )
            # A worker that its document has taken over may answer anything.
            return await asyncio.to_thread(_Answer.document, answer.content)
        except RefusedError as error:
            raise _unreadable(file.name, error.text) from None
        except WorkerError as error:
            get_logger().warning("a document broke its reader", fault=str(error))
            raise _unreadable(file.name, _why(error, cpu_s)) from None

    def close(self) -> None:
        """Ends the workers."""
        self._sandbox.close()


_Text = Annotated[str, Field(min_length=1, max_length=MAX_PASSAGE_CHARS)]


class _Answer(BaseModel):
    """The answer of a worker."""

    model_config = ConfigDict(extra="forbid")

    title: str
    media_type: str
    page_count: int = Field(ge=0, le=MAX_PAGES)
    passages: list[tuple[_Text, str, int]] = Field(max_length=MAX_PASSAGES)

    @classmethod
    def document(cls, content: bytearray) -> ReadDocument:
        """Returns the document that the worker has read.

        Raises:
            WorkerError: It is none.
        """
        try:
            read = cls.model_validate_json(bytes(content))
        except ValidationError as error:
            why = error.errors(include_input=False)[0]["msg"]
            raise WorkerError("crashed", f"its answer is invalid: {why}") from None
        if read.media_type not in _MEDIA_TYPES:
            raise WorkerError("crashed", "its answer has an unknown media type")
        return ReadDocument(
            title=read.title,
            media_type=read.media_type,
            page_count=read.page_count,
            passages=[
                ReadPassage(text=text, heading=heading, page=page)
                for text, heading, page in read.passages
            ],
        )


def _why(error: WorkerError, cpu_s: int) -> str:
    if error.kind == "out of time":
        return (
            f"reading it takes more than the {cpu_s} s that a document of its size may take: "
            "simplify or split it"
        )
    if error.kind == "out of memory":
        return "it takes too much memory to read: split it"
    return "its parser failed: it seems to be damaged"


def cpu_s_for(size_bytes: int) -> int:
    """Returns the CPU time that a document of a size may take, s."""
    return min(MAX_CPU_S, MIN_CPU_S + CPU_S_PER_MIB * size_bytes // 2**20)


def _unreadable(name: str, why: str) -> FailedPrecondition:
    return FailedPrecondition(f"{name} cannot be added: {why}", reason="DOCUMENT_UNREADABLE")
