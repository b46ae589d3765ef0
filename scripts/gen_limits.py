"""Writes docs/limits.md, the table of the limits of everything that comes from outside.

`python scripts/gen_limits.py` writes the page, `--check` only compares it. The values are those of
the constants in the modules that enforce them.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "limits.md"


class Limit(NamedTuple):
    """A limit: what it bounds, the module that enforces it, and its constant there."""

    what: str
    module: str
    constant: str

    @property
    def value(self) -> float:
        """The value of the constant."""
        found: float = getattr(import_module(self.module), self.constant)
        return found


LIMITS: Final[dict[str, tuple[Limit, ...]]] = {
    "Conversations": (
        Limit("typed question", "gateway.session.turns.turn_maker", "MAX_QUESTION_CHARS"),
        Limit("chunk of audio", "services.runtime.audio", "MAX_CHUNK_BYTES"),
        Limit("sample rate", "services.runtime.validation", "MAX_SAMPLE_RATE_HZ"),
        Limit("recorded question", "gateway.http.ask.recordings", "MAX_AUDIO_BYTES"),
        Limit("recorded question, duration", "gateway.http.ask.recordings", "MAX_AUDIO_S"),
        Limit("picture that is shown", "gateway.pictures.limits", "MAX_PICTURE_BYTES"),
        Limit("pictures with a question", "gateway.pictures.limits", "MAX_PICTURES"),
        Limit("pixels of a picture", "services.runtime.sandbox.pictures", "MAX_PIXELS"),
        Limit("picture as it is passed on", "gateway.pictures.limits", "MAX_JPEG_BYTES"),
        Limit("its width and height", "gateway.pictures.limits", "MAX_SIDE_PX"),
        Limit("one stream, in all", "services.runtime.limits.progress", "MAX_CALL_S"),
        Limit("width and height of the video", "services.runtime.video_limits", "MAX_SIDE_PX"),
        Limit("frame rate of the video", "services.runtime.video_limits", "MAX_FRAME_RATE_HZ"),
        Limit("signed token", "services.runtime.identity.signed_tokens", "MAX_TOKEN_CHARS"),
        Limit("user id in a token", "services.runtime.identity.caller", "MAX_USER_ID_CHARS"),
    ),
    "Memory": (
        Limit("user id", "memory.servicer", "MAX_USER_ID_CHARS"),
        Limit("text of an item, query", "memory.service.messages", "MAX_TEXT_CHARS"),
        Limit(
            "name of a speaker, attribute of a fact", "memory.service.messages", "MAX_NAME_CHARS"
        ),
        Limit("value of a fact", "memory.service.messages", "MAX_VALUE_CHARS"),
        Limit("sources of a fact or a summary", "memory.service.messages", "MAX_SOURCES"),
        Limit("items per message", "memory.servicer", "MAX_ITEMS"),
        Limit("items per recall", "memory.servicer", "MAX_RECALLED"),
        Limit("items per page", "memory.servicer", "MAX_PAGE_SIZE"),
        Limit("ids per call", "memory.servicer", "MAX_ITEM_IDS"),
        Limit("lists in an answer", "memory.items.filling", "MAX_ANSWER_BYTES"),
        Limit("age of a delayed turn", "memory.erasure.notes", "MAX_AGE_MS"),
    ),
    "Documents": (
        Limit("file", "memory.knowledge.receiving", "MAX_FILE_BYTES"),
        Limit("piece of a file per message", "memory.knowledge.receiving", "MAX_PIECE_BYTES"),
        Limit("file name", "memory.knowledge.calls", "MAX_FILE_NAME_CHARS"),
        Limit("source", "memory.knowledge.calls", "MAX_URI_CHARS"),
        Limit("title", "memory.knowledge.calls", "MAX_TITLE_CHARS"),
        Limit("heading", "memory.knowledge.reading.blocks", "MAX_HEADING_CHARS"),
        Limit("text of a document", "memory.knowledge.reading.blocks", "MAX_CHARS"),
        Limit("pages of a PDF", "memory.knowledge.reading.blocks", "MAX_PAGES"),
        Limit("paragraphs, items and tables", "memory.knowledge.reading.blocks", "MAX_BLOCKS"),
        Limit("lines of Markdown", "memory.knowledge.reading.markdown", "MAX_LINES"),
        Limit("cells of tables in Markdown", "memory.knowledge.reading.markdown", "MAX_CELLS"),
        Limit(
            "characters x marks of Markdown, over its paragraphs",
            "memory.knowledge.reading.markdown",
            "MAX_MARKUP_WORK",
        ),
        Limit("unpacked DOCX", "memory.knowledge.reading.word", "MAX_UNPACKED_BYTES"),
        Limit("files in a DOCX", "memory.knowledge.reading.word", "MAX_PARTS"),
        Limit("runs of text in a DOCX", "memory.knowledge.reading.word", "MAX_RUNS"),
        Limit("passages of a document", "memory.knowledge.reading.blocks", "MAX_PASSAGES"),
        Limit("split passage", "memory.knowledge.reading.blocks", "MAX_PASSAGE_CHARS"),
        Limit("CPU time of a small file; more per MiB", "memory.knowledge.reader", "MIN_CPU_S"),
        Limit("CPU time of a large file", "memory.knowledge.reader", "MAX_CPU_S"),
        Limit("passage from a program", "memory.knowledge.messages", "MAX_TEXT_CHARS"),
        Limit("its metadata", "memory.knowledge.messages", "MAX_METADATA_CHARS"),
        Limit("passage when it is read", "memory.knowledge.rows", "MAX_PASSAGE_CHARS"),
        Limit("passages per PutPassages", "memory.knowledge.calls", "MAX_PASSAGES"),
        Limit("ids per call", "memory.knowledge.calls", "MAX_PASSAGE_IDS"),
        Limit("passages per search", "memory.knowledge.calls", "MAX_FOUND"),
        Limit("passages per recall", "memory.knowledge.recalling", "MAX_PASSAGES"),
        Limit("documents or passages per page", "memory.knowledge.calls", "MAX_PAGE_SIZE"),
        Limit("redirects of a URL", "cli.knowledge.fetching", "MAX_REDIRECTS"),
        Limit("download of a URL", "cli.knowledge.fetching", "MAX_FETCH_S"),
    ),
    "Speech": (
        Limit("candidate languages", "services.asr.requests", "MAX_CANDIDATES"),
        Limit("phrase hints", "services.asr.requests", "MAX_PHRASE_HINTS"),
        Limit("phrase hint", "services.asr.requests", "MAX_PHRASE_CHARS"),
        Limit("utterance", "services.asr.requests", "MAX_UTTERANCE_MS"),
        Limit("silence, as an option", "services.asr.requests", "MAX_SILENCE_MS"),
        Limit("start of speech, as an option", "services.asr.requests", "MAX_START_SPEECH_MS"),
        Limit("segment that is spoken", "services.tts.requests", "MAX_TEXT_CHARS"),
        Limit("segments that wait", "services.tts.stream", "MAX_WAITING"),
    ),
    "Language model": (
        Limit("question", "services.llm.requests", "MAX_QUESTION_CHARS"),
        Limit("messages of the history", "services.llm.requests", "MAX_HISTORY_MESSAGES"),
        Limit("memories", "services.llm.requests", "MAX_MEMORIES"),
        Limit("text of a message, a memory, a result", "services.llm.requests", "MAX_TEXT_CHARS"),
        Limit("user id", "services.llm.requests", "MAX_USER_ID_CHARS"),
        Limit("tools", "services.llm.requests", "MAX_TOOLS"),
        Limit("results of tools", "services.llm.requests", "MAX_TOOL_RESULTS"),
        Limit("description of a tool", "services.llm.requests", "MAX_DESCRIPTION_CHARS"),
        Limit("id of a call", "services.llm.requests", "MAX_CALL_ID_CHARS"),
        Limit("pictures of a message", "services.llm.requests", "MAX_PICTURES"),
        Limit("picture", "services.llm.requests", "MAX_PICTURE_BYTES"),
        Limit("interval of words", "services.llm.requests", "MAX_WORD_INTERVAL_MS"),
    ),
    "Avatars": (
        Limit("photo over HTTP", "gateway.http.routes.avatars", "MAX_PHOTO_BYTES"),
        Limit("photo", "services.avatar.creation", "MAX_PHOTO_BYTES"),
        Limit("piece of a photo per message", "services.avatar.creation", "MAX_PIECE_BYTES"),
        Limit("pixels of a photo", "services.runtime.sandbox.pictures", "MAX_PIXELS"),
        Limit("photos at a time", "services.avatar.creation", "MAX_CREATIONS"),
        Limit("user id", "services.avatar.creation", "MAX_USER_ID_CHARS"),
        Limit("avatars of photos", "services.avatar.photo.library", "MAX_AVATARS"),
        Limit("visemes per stream", "services.avatar.requests", "MAX_VISEMES"),
    ),
}
_UNITS: Final = {"CHARS": "characters", "S": "s", "MS": "ms", "HZ": "Hz"}
_KIB: Final = 1024
_INTRO: Final = """\
# Limits

<!-- Generated by scripts/gen_limits.py from the constants in the code; a test compares it. -->

What exceeds a limit is rejected with INVALID_ARGUMENT, a document with FAILED_PRECONDITION, by a
text that names the limit; lists in an answer end at theirs and say how much is missing. These
limits are constants of the contract; those of places, rates and time are settings: see
[settings.md](settings.md).
"""


def page() -> str:
    """Returns the page."""
    parts = [_INTRO]
    for title, limits in LIMITS.items():
        rows = "".join(
            f"| {one.what} | {_shown(one)} | `{one.module}.{one.constant}` |\n" for one in limits
        )
        parts.append(f"## {title}\n\n| what | at most | where |\n|---|---|---|\n{rows}")
    return "\n".join(parts)


def _shown(limit: Limit) -> str:
    value = limit.value
    unit = limit.constant.rpartition("_")[2]
    if unit == "BYTES":
        for power, name in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
            if value >= _KIB**power and value % _KIB**power == 0:
                return f"{value / _KIB**power:,.0f} {name}"
        return f"{value:,.0f} bytes"
    return f"{value:,.0f} {_UNITS.get(unit, '')}".strip()


def main() -> int:
    """Writes or compares the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare the page")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is out of date: run python scripts/gen_limits.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
