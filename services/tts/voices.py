"""Loads the engines and chooses voices."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from services.runtime.config.settings import SettingsError
from services.runtime.engines import engine_names, load_engine
from services.runtime.errors import FailedPrecondition, InvalidRequest, NotFound
from services.runtime.observing.logs import get_logger
from services.tts.engine import EngineUnavailableError, MeasuredEngine, TtsEngine, VoiceInfo
from services.tts.selection import Selection, Suitability, declared_preference
from services.tts.settings import TtsSettings
from text.scripts import script_of

DEFAULT_LANGUAGE = "en"
AUTO = "auto"
"""The value of the engine setting that chooses engines by language."""
# CLDR distances from langcodes: up to 5 between countries, 54 and more between scripts.
_MAX_DISTANCE = 10
_MAX_NAMES_SHOWN = 12


def load_engines(settings: TtsSettings) -> list[TtsEngine]:
    """Creates the engines in the settings, in their order.

    With "auto" all installed engines are created, those that speak the default language best first;
    an engine whose library is missing is skipped.

    Raises:
        SettingsError: A named engine is unknown or unavailable, or no engine is available.
    """
    if settings.engine != AUTO:
        names = [name.strip() for name in settings.engine.split(",") if name.strip()]
        return [_load(name, settings) for name in names]
    installed = engine_names("tts")
    engines: list[TtsEngine] = []
    for name in installed:
        try:
            engines.append(_load(name, settings))
        except SettingsError as error:
            get_logger().info("engine skipped", engine=name, message=str(error))
    if not engines:
        raise SettingsError(f"ANIMA_TTS_ENGINE: none of {', '.join(installed)} is available")
    return sorted(engines, key=lambda engine: -declared_preference(engine, DEFAULT_LANGUAGE))


async def open_engines(engines: Sequence[TtsEngine], settings: TtsSettings) -> list[TtsEngine]:
    """Opens engines and returns the available ones.

    With "auto" an engine that turns out to be unavailable is skipped.

    Raises:
        SettingsError: A named engine is unavailable, or no engine is available.
    """
    opened = [engine for engine in engines if await _succeeds(engine.open(), engine, settings)]
    if not opened:
        raise SettingsError("ANIMA_TTS_ENGINE: none of the installed engines is available")
    return opened


async def warm_engines(engines: Sequence[TtsEngine], settings: TtsSettings) -> list[TtsEngine]:
    """Warms the measured ones of open engines up; returns all but those that cannot be loaded.

    Raises:
        SettingsError: A named engine cannot be loaded, or no engine is left.
    """
    warm = [
        engine
        for engine in engines
        if not isinstance(engine, MeasuredEngine)
        or await _succeeds(engine.warm_up(), engine, settings)
    ]
    if not warm:
        raise SettingsError("ANIMA_TTS_ENGINE: none of the installed engines is available")
    return warm


async def _succeeds(work: Awaitable[None], engine: TtsEngine, settings: TtsSettings) -> bool:
    try:
        await work
    except EngineUnavailableError as error:
        name = engine.describe().name
        if settings.engine != AUTO:
            raise SettingsError(f"ANIMA_TTS_ENGINE: {name}: {error}") from error
        get_logger().info("engine skipped", engine=name, message=str(error))
        return False
    return True


def _load(name: str, settings: TtsSettings) -> TtsEngine:
    try:
        engine: TtsEngine = load_engine("tts", name, settings)
    except EngineUnavailableError as error:
        raise SettingsError(f"ANIMA_TTS_ENGINE: {name}: {error}") from error
    return engine


class VoiceBook:
    """All voices of all engines, and the rules to choose one.

    Args:
        engines: In order of preference.
        by_preference: Whether the preferences declared by engines take precedence over their order,
            and engines that are too slow for this machine speak only on request.
    """

    def __init__(self, engines: Sequence[TtsEngine], *, by_preference: bool = False) -> None:
        self._selection = Selection(engines) if by_preference else None
        self._order = {id(engine): number for number, engine in enumerate(engines)}
        self._engines: dict[str, TtsEngine] = {}
        self._voices: dict[str, VoiceInfo] = {}
        for engine in engines:
            for voice in engine.voices():
                self._voices.setdefault(voice.name, voice)
                self._engines.setdefault(voice.name, engine)
        self._ranked = lru_cache(maxsize=256)(self._rank)

    def engine(self, voice: VoiceInfo) -> TtsEngine:
        """Returns the engine of a voice in this book."""
        return self._engines[voice.name]

    def all(self) -> Sequence[VoiceInfo]:
        """Returns all voices, those of preferred engines first."""
        return list(self._voices.values())

    def speaking(self, language: str, *, field: str) -> Sequence[VoiceInfo]:
        """Returns the voices for a language, the best first.

        Raises:
            InvalidRequest: It is not a BCP-47 tag.
        """
        return self._ranked(check_language(field, language))

    def choose(self, names: Sequence[str], language: str) -> VoiceInfo:
        """Chooses the voice of a stream.

        Args:
            names: From the config, in order of preference.
            language: From the config; empty: a named voice is used for any language.

        Raises:
            InvalidRequest: The language is not a BCP-47 tag.
            NotFound: The one name given is unknown.
            FailedPrecondition: No voice speaks the language.
        """
        language = check_language("config.language", language) if language else ""
        known = self._named(names, language)
        if len(names) == 1 and not known:
            shown = ", ".join(voice.name for voice in self.all()[:_MAX_NAMES_SHOWN])
            raise NotFound(
                f"config.voices: unknown voice {names[0][:64]!r}; ListVoices has {shown}, ..."
            )
        if known and not language:
            return known[0]
        return self._best(known, language or DEFAULT_LANGUAGE, field="config.language")

    def for_segment(
        self, names: Sequence[str], stream_voice: VoiceInfo, *, language: str, text: str
    ) -> VoiceInfo:
        """Chooses the voice of a segment: the stream's voice if it speaks the segment's language.

        A segment without a language, in a script that the stream's voice cannot read, is spoken by
        a voice that can.

        Raises:
            InvalidRequest: The language is not a BCP-47 tag.
            FailedPrecondition: No voice speaks the segment's language.
        """
        if language:
            language = check_language("text.language", language)
            known = [stream_voice, *self._named(names, language)]
            return self._best(known, language, field="text.language")
        script = script_of(text)
        if script is None or not script.languages:
            return stream_voice
        readers = [voice for language in script.languages for voice in self._ranked(language)]
        return stream_voice if stream_voice in readers or not readers else readers[0]

    def _best(self, preferred: Sequence[VoiceInfo], language: str, *, field: str) -> VoiceInfo:
        speakers = self.speaking(language, field=field)
        for voice in [*preferred, *speakers]:
            if voice in speakers:
                return voice
        raise FailedPrecondition(
            f"{field}: no voice speaks {language!r}; ListVoices lists the languages",
            reason="LANGUAGE_WITHOUT_VOICE",
        )

    def suitability(self, voice: VoiceInfo) -> Suitability | None:
        """Returns how well a voice suits its language; None: the order in the settings decides."""
        if self._selection is None:
            return None
        return self._selection.suitability(self.engine(voice), voice.languages[0])

    def notes(self) -> dict[str, str]:
        """Returns why measured engines are or are not used, by the language that it is about."""
        found = {voice: self.suitability(voice) for voice in self._voices.values()}
        return {
            voice.languages[0]: f"{voice.engine}: {suitability.reason}"
            for voice, suitability in found.items()
            if suitability and suitability.reason
        }

    def _named(self, names: Sequence[str], language: str) -> list[VoiceInfo]:
        """Returns the known voices of names; of several, only those that speak in time.

        A single name is the wish of a person; several are the preferences of a persona.
        """
        known = [self._voices[name] for name in names if name in self._voices]
        if self._selection is None or len(names) == 1:
            return known
        return [
            voice
            for voice in known
            if self._preference(self.engine(voice), language or voice.languages[0]) > 0
        ]

    def _preference(self, engine: TtsEngine, language: str) -> int:
        if self._selection is None:
            return 0
        return self._selection.suitability(engine, language).preference

    def _rank(self, language: str) -> tuple[VoiceInfo, ...]:
        ranked: list[tuple[int, int, int, VoiceInfo]] = []
        for voice in self._voices.values():
            nearest = min(_distance(language, tag) for tag in voice.languages)
            if nearest <= _MAX_DISTANCE:
                engine = self._engines[voice.name]
                preference = self._preference(engine, language)
                ranked.append((-preference, self._order[id(engine)], nearest, voice))
        ranked.sort(key=lambda entry: entry[:-1])
        return tuple(voice for *_, voice in ranked)


def _distance(language: str, tag: str) -> int:
    """Returns the distance of a voice's tag from the wanted language, ignoring the script."""
    if language == tag:
        return -1
    wanted, spoken = langcodes.Language.get(language), langcodes.Language.get(tag)
    if wanted.language == spoken.language and not spoken.script:
        spoken = spoken.update_dict({"script": wanted.maximize().script})
    return langcodes.tag_distance(language, spoken)


def check_language(field: str, language: str) -> str:
    """Returns a BCP-47 tag in its standard form.

    Raises:
        InvalidRequest: It is not a BCP-47 tag.
    """
    try:
        return langcodes.standardize_tag(language)
    except LanguageTagError as error:
        raise InvalidRequest(f"{field}: {language[:64]!r} is not a BCP-47 tag: {error}") from error
