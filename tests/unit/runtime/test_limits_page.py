"""docs/limits.md names the limits of all modules, with their values."""

from __future__ import annotations

import ast

from scripts.gen_limits import LIMITS, PAGE, page
from tests.requirements import ROOT

PACKAGES = ("gateway", "services", "memory", "cli")
OF_NO_INPUT = {
    "cli.addresses.MAX_PORT",
    "cli.mesh.logs.MAX_BYTES",
    "gateway.remember_queue.journal.MAX_AGE_MS",
    "memory.knowledge.messages.MAX_USER_ID_CHARS",
    "memory.knowledge.reading.splitting.MAX_CHARS",
    "memory.knowledge.reading.splitting.MAX_TOKENS",
    "memory.service.messages.MAX_UNIX_MS",
    "services.asr.processes.process.MAX_ANSWER_BYTES",
    "services.asr.engines.whisper.model.MAX_SPEECH_S",
    "services.avatar.photo.decoding.MAX_DECODED_PIXELS",
    "services.llm.speech.tables.MAX_HEAD_CHARS",
    "services.avatar.requests.MAX_SAMPLE",
    "services.avatar.session.MAX_WAITING_S",
    "services.llm.persona.corpus.MAX_FILE_BYTES",
    "services.llm.persona.documents.MAX_PASSAGE_CHARS",
    "services.runtime.calls.channels.MAX_RECONNECT_BACKOFF_MS",
    "services.runtime.errors.MAX_MESSAGE_CHARS",
    "services.runtime.identity.key_sources.MAX_KEYS_BYTES",
    "services.runtime.sandbox.wire.MAX_HEADER_BYTES",
    "services.tts.engines.kokoro.model.MAX_SYMBOLS",
}
"""Limits of what the installation itself makes, and those that a line of the page implies."""


def constants() -> set[str]:
    """Returns the constants MAX_... of all modules."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                if isinstance(node, ast.AnnAssign):
                    targets = [node.target]
                names = [one.id for one in targets if isinstance(one, ast.Name)]
                found.update(f"{module}.{name}" for name in names if name.startswith("MAX_"))
    return found


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/gen_limits.py"


def test_every_limit_is_on_the_page() -> None:
    named = {f"{one.module}.{one.constant}" for limits in LIMITS.values() for one in limits}
    assert constants() - named == OF_NO_INPUT
