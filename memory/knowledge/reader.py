"""Reads a document in a separate process, with limits."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any, Final

from memory.knowledge.document import File
from services.runtime.errors import FailedPrecondition
from services.runtime.logs import get_logger

MIN_CPU_S: Final = 15
CPU_S_PER_MIB: Final = 10
MAX_CPU_S: Final = 60
"""The CPU time per document grows with its size between these bounds, so that a small document
cannot occupy a reader for long."""
_WALL_PER_CPU: Final = 3
_PROCESSES: Final = 2
_MAX_LOGGED_BYTES: Final = 2_000
_OUT_OF_TIME: Final = (-signal.SIGXCPU, -signal.SIGKILL)


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
    """Reads documents, two at a time."""

    def __init__(
        self,
        *,
        tokenizer_json: str | None,
        max_cpu_s: int = MAX_CPU_S,
        max_wall_s: float | None = None,
    ) -> None:
        """Creates a reader.

        Args:
            tokenizer_json: The tokenizer of the encoder; None means passages are split by
                characters.
            max_cpu_s: The maximum CPU time per document, s; for small documents it is less.
            max_wall_s: The maximum time per document, s, also on a busy machine; None means three
                times the CPU time.
        """
        self._tokenizer_json = tokenizer_json
        self._max_cpu_s = max_cpu_s
        self._max_wall_s = max_wall_s
        self._places = asyncio.Semaphore(_PROCESSES)

    async def read(self, file: File) -> ReadDocument:
        """Reads a document.

        Raises:
            FailedPrecondition: It cannot be read; the text states why and what to do.
        """
        cpu_s = min(self._max_cpu_s, cpu_s_for(len(file.content)))
        request = {
            "file_name": file.name,
            "tokenizer": self._tokenizer_json,
            "max_cpu_s": cpu_s,
        }
        sent = json.dumps(request).encode() + b"\n" + file.content
        async with self._places:
            answer = await self._ask(file.name, sent, cpu_s)
        if "fault" in answer:
            raise _unreadable(file.name, answer["fault"])
        return ReadDocument(
            title=answer["title"],
            media_type=answer["media_type"],
            page_count=answer["page_count"],
            passages=[
                ReadPassage(text=text, heading=heading, page=page)
                for text, heading, page in answer["passages"]
            ],
        )

    async def _ask(self, name: str, sent: bytes, cpu_s: int) -> dict[str, Any]:
        too_slow = (
            f"reading it takes more than the {cpu_s} s that a document of its size may take: "
            "simplify or split it"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "memory.knowledge.reading"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # The document's parser must not have access to the service's secrets, such as tokens.
            env={"PATH": os.environ.get("PATH", ""), "RAYON_NUM_THREADS": "1"},
        )
        try:
            async with asyncio.timeout(self._max_wall_s or cpu_s * _WALL_PER_CPU):
                stdout, stderr = await process.communicate(sent)
        except TimeoutError:
            raise _unreadable(name, too_slow) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            answer: dict[str, Any] = await asyncio.to_thread(json.loads, stdout)
            return answer
        get_logger().warning(
            "a document ended its reader",
            code=process.returncode,
            stderr=stderr[-_MAX_LOGGED_BYTES:].decode(errors="replace"),
        )
        if process.returncode in _OUT_OF_TIME:
            raise _unreadable(name, too_slow)
        raise _unreadable(name, "its parser failed: it seems to be damaged")


def cpu_s_for(size_bytes: int) -> int:
    """Returns the CPU time that a document of a size may take, s."""
    return min(MAX_CPU_S, MIN_CPU_S + CPU_S_PER_MIB * size_bytes // 2**20)


def _unreadable(name: str, why: str) -> FailedPrecondition:
    return FailedPrecondition(f"{name} cannot be added: {why}", reason="DOCUMENT_UNREADABLE")
