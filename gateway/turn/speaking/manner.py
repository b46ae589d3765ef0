"""How the face speaks in a session: its voice and speed, and how a person changes them by asking.

The language model understands the wish: it is offered the tool `change_speech`, as models know it,
and says in its own words what came of the call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.turn.speaking.voice_choice import same_language

SLOWEST_PERCENT: Final = 60
FASTEST_PERCENT: Final = 160
USUAL_PERCENT: Final = 100
_STEP_PERCENT: Final = 20

_SPEEDS: Final = ("slower", "faster", "usual")
_VOICES: Final = ("other", "female", "male")
_GENDERS: Final = {"female": tts.GENDER_FEMALE, "male": tts.GENDER_MALE}
_ON_REQUEST: Final = (tts.VOICE_USE_LOADING, tts.VOICE_USE_TOO_LATE, tts.VOICE_USE_TOO_SLOW)
_NAME: Final = "change_speech"
TOOL: Final = llm.Tool(
    name=_NAME,
    description=(
        "Changes how you speak for the rest of the conversation. Call it only when the user asks "
        "you to speak slower, faster or at your usual speed, or with another voice; then tell the "
        "user what came of it."
    ),
    parameters_json_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "speed": {"type": "string", "enum": list(_SPEEDS)},
                "voice": {"type": "string", "enum": list(_VOICES)},
            },
        }
    ),
)


def offered(*, speech: bool, wanted: bool) -> Sequence[llm.Tool]:
    """Returns the tools that the language model is offered for an answer and before it.

    Args:
        speech: Whether the answer is spoken.
        wanted: The setting `speech_by_asking`.
    """
    return (TOOL,) if speech and wanted else ()


@dataclass(frozen=True)
class Manner:
    """How the face speaks.

    Attributes:
        voice: The name of a voice; empty: the persona's.
        rate_percent: The speed, percent of the persona's, 60 to 160.
    """

    voice: str = ""
    rate_percent: int = USUAL_PERCENT


def changed(
    manner: Manner,
    call: llm.ToolCall,
    *,
    language: str,
    persona: llm.Persona,
    known_voices: Sequence[tts.Voice],
) -> tuple[Manner, llm.ToolResult]:
    """Returns the manner after a call of the tool, and its result for the model.

    The result is a JSON object: `speed` and `voice`, if they were asked for, are "changed", "limit"
    (it is as slow or fast as it can be), "same" (it is so already) or "none" (no such voice).

    Args:
        manner: How the face speaks now.
        call: The call of the model; arguments that the tool does not have are ignored.
        language: BCP-47 language of the answer.
        persona: The persona that speaks.
        known_voices: The voices of the mesh.
    """
    if call.name != _NAME:
        return manner, llm.ToolResult(call=call, text='{"error": "there is no such tool"}')
    wanted = _arguments(call)
    told: dict[str, Any] = {}
    now = manner
    if (speed := wanted.get("speed")) in _SPEEDS:
        now = replace(now, rate_percent=_rate_percent(now.rate_percent, speed))
        unchanged = "same" if speed == "usual" else "limit"
        told["speed"] = "changed" if now != manner else unchanged
        told["speed_percent"] = now.rate_percent
    if (wish := wanted.get("voice")) in _VOICES:
        voice = _other_voice(now, wish, language, persona, known_voices)
        told["voice"] = "none" if voice is None else "changed"
        if voice is not None:
            now = replace(now, voice=voice.name)
            told["voice_name"] = voice.display_name or voice.name
    if not told:
        told["error"] = f"give speed ({', '.join(_SPEEDS)}) or voice ({', '.join(_VOICES)})"
    return now, llm.ToolResult(call=call, text=json.dumps(told))


def _arguments(call: llm.ToolCall) -> dict[str, Any]:
    try:
        given = json.loads(call.arguments_json or "{}")
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _rate_percent(now: int, speed: str) -> int:
    if speed == "usual":
        return USUAL_PERCENT
    step = _STEP_PERCENT if speed == "faster" else -_STEP_PERCENT
    return min(max(now + step, SLOWEST_PERCENT), FASTEST_PERCENT)


def _other_voice(
    manner: Manner,
    wish: str,
    language: str,
    persona: llm.Persona,
    known: Sequence[tts.Voice],
) -> tts.Voice | None:
    """Returns the next voice that fits, after the one that speaks now; None: there is no other."""
    able = [
        voice for voice in known if any(same_language(tag, language) for tag in voice.languages)
    ]
    current = _current(manner, language, persona, able)
    in_time = [voice for voice in able if voice.use not in _ON_REQUEST or voice is current]
    if current is not None:
        # a voice of the same engine sounds as natural
        alike = [voice for voice in in_time if voice.engine == current.engine]
        place = alike.index(current)
        in_turn = alike[place + 1 :] + alike[:place]
        in_turn += [voice for voice in in_time if voice.engine != current.engine]
    else:
        in_turn = in_time
    gender = _GENDERS.get(wish)
    return next((voice for voice in in_turn if gender is None or voice.gender == gender), None)


def _current(
    manner: Manner, language: str, persona: llm.Persona, able: Sequence[tts.Voice]
) -> tts.Voice | None:
    """Returns the voice that speaks now, as `synthesis_config` and the voice service choose it."""
    by_name = {voice.name: voice for voice in able}
    if manner.voice in by_name:
        return by_name[manner.voice]
    in_time = {name: voice for name, voice in by_name.items() if voice.use not in _ON_REQUEST}
    for chosen in persona.voices:
        if same_language(chosen.language, language):
            for name in chosen.voices:
                if name in in_time:
                    return in_time[name]
    return next(iter(in_time.values()), None)
