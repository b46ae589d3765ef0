"""Which voice speaks an answer."""

from __future__ import annotations

from collections.abc import Sequence

from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts


def same_language(one: str, other: str) -> bool:
    """Tells whether two BCP-47 tags name the same language, whatever region or script they add."""
    return one.partition("-")[0].lower() == other.partition("-")[0].lower()


def synthesis_config(
    *,
    turn_id: str,
    epoch: int,
    sample_rate_hz: int,
    language: str,
    voice: str,
    persona: llm.Persona,
    known_voices: Sequence[tts.Voice],
) -> tts.SynthesizeConfig:
    """Says how a turn is to be spoken.

    The voice that was asked for speaks the languages that it knows; else the persona's voices for
    the language do.

    Args:
        turn_id: The turn.
        epoch: The epoch of the session.
        sample_rate_hz: Samples per second of the audio.
        language: BCP-47 language of the answer; empty: not known.
        voice: The name of the voice that was asked for; empty: none.
        persona: Who speaks.
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
    return config
