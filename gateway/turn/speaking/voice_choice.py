"""The choice of the voice that speaks an answer."""

from __future__ import annotations

from collections.abc import Sequence

from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts

_SLOWEST_PERCENT, _USUAL_PERCENT, _FASTEST_PERCENT = 50, 100, 200


def same_language(one: str, other: str) -> bool:
    """Returns whether two BCP-47 tags name the same language, apart from region and script."""
    return one.partition("-")[0].lower() == other.partition("-")[0].lower()


def synthesis_config(
    *,
    turn_id: str,
    epoch: int,
    sample_rate_hz: int,
    language: str,
    voice: str,
    rate_percent: int,
    persona: llm.Persona,
    known_voices: Sequence[tts.Voice],
) -> tts.SynthesizeConfig:
    """Returns the config with which a turn is synthesised.

    A requested voice is used for the languages that it knows, otherwise the persona's voices for
    the language.

    Args:
        turn_id: The turn.
        epoch: The epoch of the session.
        sample_rate_hz: Samples per second of the audio.
        language: BCP-47 language of the answer; empty: not known.
        voice: The name of the requested voice; empty: none.
        rate_percent: The requested speed, percent of the persona's.
        persona: The persona that speaks.
        known_voices: The voices of the mesh; empty: not known.
    """
    config = tts.SynthesizeConfig(
        turn_id=turn_id, epoch=epoch, language=language, sample_rate_hz=sample_rate_hz
    )
    for chosen in persona.voices:
        if same_language(chosen.language, language):
            config.voices.extend(chosen.voices)
            config.rate_percent = chosen.rate_percent
            config.pitch_percent = chosen.pitch_percent
            break
    known = next((each for each in known_voices if each.name == voice), None)
    if voice and (known is None or any(same_language(tag, language) for tag in known.languages)):
        config.ClearField("voices")
        config.voices.append(voice)
    if rate_percent != _USUAL_PERCENT:
        rate = (config.rate_percent or _USUAL_PERCENT) * rate_percent // 100
        config.rate_percent = min(max(rate, _SLOWEST_PERCENT), _FASTEST_PERCENT)
    return config
