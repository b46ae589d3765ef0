"""Converts wire messages to the engine's types and validates every field."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence, Set
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from anima.llm.v1 import ROLE_ASSISTANT, ROLE_UNSPECIFIED, ROLE_USER, GenerateConfig, Picture
from anima.llm.v1 import Memory as WireMemory
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.persona.persona import Persona
from services.llm.prompt.citation import cited_passage
from services.llm.prompt.prompt import Memory, Message, Prompt, Role, build_prompt
from services.llm.prompt.tools import Tool, ToolCall, ToolResult
from services.runtime.errors import InvalidRequest
from services.runtime.validation import check_name, check_range, check_text, check_turn_id
from text.languages import TAG, language_of, spoken

MAX_QUESTION_CHARS: Final = 8_000
MAX_HISTORY_MESSAGES: Final = 200
MAX_MEMORIES: Final = 50
MAX_TEXT_CHARS: Final = 20_000
MAX_WORD_INTERVAL_MS: Final = 5_000
MAX_USER_ID_CHARS: Final = 256
MAX_TOOLS: Final = 64
MAX_TOOL_RESULTS: Final = 32
MAX_DESCRIPTION_CHARS: Final = 4_000
MAX_CALL_ID_CHARS: Final = 256
MAX_PICTURES: Final = 4
MAX_PICTURE_BYTES: Final = 1_000_000

_UNHEARD: Final = "?"
_JPEG: Final = b"\xff\xd8\xff"
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME_ZONE: Final = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
_NONE: Final = {"type": "object", "properties": {}}

_ROLES: Final = {ROLE_USER: Role.USER, ROLE_ASSISTANT: Role.ASSISTANT}
# Scores are sums of floats, so a perfect score may be slightly above 1.
_SCORE_TOLERANCE: Final = 1e-3


def read_prefill(config: GenerateConfig, catalogue: PersonaCatalogue) -> Prompt:
    """Converts the config of a question that is not complete.

    Where nothing has been heard of the question yet, the last one tells the language.

    Raises:
        InvalidRequest: A field is invalid; the text names it.
        NotFound: The persona does not exist.
    """
    if not config.question.strip():
        asked = [message.text for message in config.history if message.role == ROLE_USER]
        config.question = (asked[-1] if asked else "")[:MAX_QUESTION_CHARS].strip() or _UNHEARD
    del config.memories[:]
    return read_prompt(config, catalogue)


def read_prompt(config: GenerateConfig, catalogue: PersonaCatalogue) -> Prompt:
    """Converts a config to a prompt.

    Raises:
        InvalidRequest: A field is invalid; the text names it.
        NotFound: The persona does not exist.
    """
    check_turn_id("config.turn_id", config.turn_id)
    check_text("config.question", config.question, MAX_QUESTION_CHARS)
    _check_count("config.history", len(config.history), MAX_HISTORY_MESSAGES, "messages")
    _check_count("config.memories", len(config.memories), MAX_MEMORIES, "memories")
    interval_ms: int | None = None
    if config.HasField("word_interval_ms"):
        interval_ms = config.word_interval_ms
        check_range("config.word_interval_ms", interval_ms, 0, MAX_WORD_INTERVAL_MS)
    check_name("config.user_id", config.user_id, MAX_USER_ID_CHARS, min_chars=0)
    tools = _tools(config)
    persona = catalogue.choose("config.persona", config.persona)
    return build_prompt(
        turn_id=config.turn_id,
        persona=persona,
        language=_language(config, persona),
        question=config.question.strip(),
        history=_history(config),
        memories=[_memory(index, memory) for index, memory in enumerate(config.memories)],
        max_words=config.max_words,
        word_interval_ms=interval_ms,
        user_id=config.user_id,
        tools=tools,
        tool_results=_tool_results(config, tools),
        pictures=_pictures("config.pictures", config.pictures),
        time_zone=_time_zone(config.time_zone),
    )


def _time_zone(name: str) -> ZoneInfo | None:
    """Returns a time zone by its name; None if it is unknown here, as new ones are."""
    if name and not _TIME_ZONE.fullmatch(name):
        raise InvalidRequest(f"config.time_zone: {name[:80]!r} is not a name such as Europe/Berlin")
    return ZoneInfo(name) if name in _known_time_zones() else None


@cache
def _known_time_zones() -> Set[str]:
    return available_timezones()


def _check_count(field: str, count: int, most: int, noun: str) -> None:
    if count > most:
        raise InvalidRequest(f"{field}: must be at most {most} {noun}, got {count}")


def _language(config: GenerateConfig, persona: Persona) -> str:
    languages = persona.profile.languages
    if not config.language:
        return language_of(config.question, languages)
    if not TAG.fullmatch(config.language):
        raise InvalidRequest(
            f"config.language: {config.language[:32]!r} is not a language tag such as 'en' or 'zh'"
        )
    language = spoken(config.language, languages)
    if language is None:
        raise InvalidRequest(
            f"config.language: {persona.profile.display_name} does not speak "
            f"{config.language!r}, but: {', '.join(languages)}"
        )
    return language


def _history(config: GenerateConfig) -> list[Message]:
    messages: list[Message] = []
    for index, message in enumerate(config.history):
        field = f"config.history[{index}]"
        role = _ROLES.get(message.role)
        if role is None:
            raise InvalidRequest(f"{field}.role: must be ROLE_USER or ROLE_ASSISTANT")
        check_text(f"{field}.text", message.text, MAX_TEXT_CHARS, min_chars=0)
        # An answer that was interrupted before any word was heard has no text.
        if message.text.strip():
            said = message.said_unix_ms
            pictures = _pictures(f"{field}.pictures", message.pictures)
            messages.append(
                Message(role=role, text=message.text.strip(), said_unix_ms=said, pictures=pictures)
            )
    return messages


def _pictures(field: str, pictures: Sequence[Picture]) -> tuple[bytes, ...]:
    _check_count(field, len(pictures), MAX_PICTURES, "pictures")
    for index, picture in enumerate(pictures):
        if not picture.jpeg.startswith(_JPEG):
            raise InvalidRequest(f"{field}[{index}].jpeg: is not a JPEG file")
        size = len(picture.jpeg)
        if size > MAX_PICTURE_BYTES:
            raise InvalidRequest(
                f"{field}[{index}].jpeg: must be at most {MAX_PICTURE_BYTES} bytes, got {size}"
            )
    return tuple(picture.jpeg for picture in pictures)


def _tools(config: GenerateConfig) -> list[Tool]:
    _check_count("config.tools", len(config.tools), MAX_TOOLS, "tools")
    found: dict[str, Tool] = {}
    for index, tool in enumerate(config.tools):
        field = f"config.tools[{index}]"
        if not _TOOL_NAME.fullmatch(tool.name):
            raise InvalidRequest(f"{field}.name: {tool.name[:80]!r}: 1 to 64 of A-Za-z0-9_- only")
        if tool.name in found:
            raise InvalidRequest(f"{field}.name: {tool.name!r} is not unique")
        check_text(f"{field}.description", tool.description, MAX_DESCRIPTION_CHARS, min_chars=0)
        schema = tool.parameters_json_schema
        parameters = _json_object(f"{field}.parameters_json_schema", schema) if schema else _NONE
        found[tool.name] = Tool(name=tool.name, description=tool.description, parameters=parameters)
    return list(found.values())


def _tool_results(config: GenerateConfig, tools: Sequence[Tool]) -> list[ToolResult]:
    _check_count("config.tool_results", len(config.tool_results), MAX_TOOL_RESULTS, "results")
    names = {tool.name for tool in tools}
    results: list[ToolResult] = []
    for index, result in enumerate(config.tool_results):
        field, call = f"config.tool_results[{index}]", result.call
        check_text(f"{field}.call.id", call.id, MAX_CALL_ID_CHARS)
        if call.name not in names:
            raise InvalidRequest(
                f"{field}.call.name: {call.name[:80]!r} is not in config.tools; offer it again"
            )
        _json_object(f"{field}.call.arguments_json", call.arguments_json)
        check_text(f"{field}.text", result.text, MAX_TEXT_CHARS, min_chars=0)
        made = ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json)
        results.append(ToolResult(call=made, text=result.text))
    return results


def _json_object(field: str, text: str) -> dict[str, Any]:
    check_text(field, text, MAX_TEXT_CHARS)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest(f"{field}: not a JSON object")
    return parsed


def _memory(index: int, memory: WireMemory) -> Memory:
    field = f"config.memories[{index}]"
    check_text(f"{field}.text", memory.text, MAX_TEXT_CHARS)
    check_range(f"{field}.score", memory.score, 0, 1 + _SCORE_TOLERANCE)
    # A user's words are never taken for a passage, because they have a speaker.
    citation, text = (None, memory.text)
    if memory.role == ROLE_UNSPECIFIED:
        citation, text = cited_passage(memory.text)
    role = _ROLES.get(memory.role, Role.USER)
    return Memory(
        text=text.strip(),
        score=min(memory.score, 1.0),
        role=role if citation is None else Role.SYSTEM,
        created_unix_ms=memory.created_unix_ms,
        citation=citation,
    )
