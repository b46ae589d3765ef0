"""Validates the requests of a stream."""

import re
from collections.abc import Sequence
from types import MappingProxyType

from anima.asr.v1 import Endpointing, RecognizeConfig
from services.asr.front_end.endpointing import EndpointingLimits
from services.asr.session import SessionConfig
from services.runtime.engine import EngineInfo
from services.runtime.errors import FailedPrecondition, InvalidRequest
from services.runtime.validation import check_range, check_rate, check_text, check_turn_id
from text.languages import spoken

MAX_START_SPEECH_MS = 5_000
MAX_SILENCE_MS = 120_000
MAX_UTTERANCE_MS = 120_000
MAX_PHRASE_HINTS = 1_000
MAX_PHRASE_CHARS = 200
MAX_CANDIDATES = 100

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_NAMES = MappingProxyType({"en": "English", "zh": "Chinese"})


def check_config(config: RecognizeConfig, engine: EngineInfo) -> SessionConfig:
    """Converts the first message of a stream to a session configuration.

    Raises:
        InvalidRequest: A field is invalid; the message names it.
        FailedPrecondition: The engine does not support the language.
    """
    check_turn_id("config.turn_id", config.turn_id)
    check_rate("config.sample_rate_hz", config.sample_rate_hz)
    if len(config.phrase_hints) > MAX_PHRASE_HINTS:
        raise InvalidRequest(
            f"config.phrase_hints: must be at most {MAX_PHRASE_HINTS} phrases, "
            f"got {len(config.phrase_hints)}"
        )
    for index, phrase in enumerate(config.phrase_hints):
        check_text(f"config.phrase_hints[{index}]", phrase, MAX_PHRASE_CHARS)
    candidates = check_candidates(config.candidate_languages, engine)
    expected = config.language and spoken(config.language, engine.languages) is None
    return SessionConfig(
        sample_rate_hz=config.sample_rate_hz,
        language=choose_language(config.language, engine, candidates),
        candidates=candidates,
        limits=check_endpointing(config.endpointing),
        phrase_hints=tuple(config.phrase_hints),
        not_understood=config.language if expected else "",
    )


def check_endpointing(given: Endpointing) -> EndpointingLimits:
    """Fills in the defaults where a limit is 0.

    Raises:
        InvalidRequest: A limit is too large.
    """
    defaults = EndpointingLimits()
    for name, highest in (
        ("start_speech_ms", MAX_START_SPEECH_MS),
        ("guess_silence_ms", MAX_SILENCE_MS),
        ("end_silence_ms", MAX_SILENCE_MS),
        ("max_utterance_ms", MAX_UTTERANCE_MS),
    ):
        check_range(f"config.endpointing.{name}", getattr(given, name), 0, highest)
    return EndpointingLimits(
        start_speech_ms=given.start_speech_ms or defaults.start_speech_ms,
        guess_silence_ms=given.guess_silence_ms or defaults.guess_silence_ms,
        end_silence_ms=given.end_silence_ms or defaults.end_silence_ms,
        max_utterance_ms=given.max_utterance_ms or defaults.max_utterance_ms,
    )


def check_candidates(tags: Sequence[str], engine: EngineInfo) -> tuple[str, ...]:
    """Returns the engine's languages for BCP-47 tags, without those that it does not support.

    Raises:
        InvalidRequest: There are too many tags, or one is malformed.
    """
    if len(tags) > MAX_CANDIDATES:
        raise InvalidRequest(
            f"config.candidate_languages: must be at most {MAX_CANDIDATES}, got {len(tags)}"
        )
    for index, tag in enumerate(tags):
        _check_tag(f"config.candidate_languages[{index}]", tag)
    known = (spoken(tag, engine.languages) for tag in tags)
    return tuple(dict.fromkeys(language for language in known if language is not None))


def choose_language(tag: str, engine: EngineInfo, candidates: Sequence[str] = ()) -> str:
    """Returns the engine's language for a BCP-47 tag: "en" for "en-GB"; its first one for "".

    Args:
        tag: The language that the caller expects.
        engine: Describes the engine.
        candidates: The engine's languages that the person may speak as well; the first one stands
            in for a language that the engine does not support.

    Raises:
        InvalidRequest: The tag is malformed.
        FailedPrecondition: The engine supports neither the language nor a candidate.
    """
    if not tag:
        return engine.languages[0]
    _check_tag("config.language", tag)
    language = spoken(tag, engine.languages) or next(iter(candidates), None)
    if language is not None:
        return language
    raise not_understood(tag, engine)


def not_understood(tag: str, engine: EngineInfo) -> FailedPrecondition:
    """Returns the error that the engine does not understand a language, with what it does."""
    known = ", ".join(engine.languages)
    names = ", ".join(_NAMES.get(language, language) for language in engine.languages)
    remedy = engine.more_languages or (
        "set ANIMA_ASR_ENGINE to an installed entry point of 'anima.asr.engines'"
    )
    return FailedPrecondition(
        f"config.language: the engine {engine.name!r} understands {names} only, not {tag!r}; "
        f"to understand more: {remedy}",
        reason="LANGUAGE_NOT_SUPPORTED",
        metadata={"language": tag, "known": known, "remedy": engine.more_languages},
    )


def _check_tag(field: str, tag: str) -> None:
    if not _LANGUAGE_TAG.fullmatch(tag):
        raise InvalidRequest(f"{field}: {tag[:64]!r} is not a BCP-47 language tag such as 'en'")
