from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.errors import FailedPrecondition, InvalidRequest, NotFound
from services.tts.engine import (
    Emit,
    EngineUnavailableError,
    SpeechRequest,
    VoiceInfo,
)
from services.tts.engines.espeak import EspeakEngine
from services.tts.engines.flite import FliteEngine
from services.tts.settings import TtsSettings
from services.tts.voices import VoiceBook, load_engines, open_engines
from tests.unit.tts.speaking import voice_of


@pytest.fixture
def book(espeak: EspeakEngine) -> VoiceBook:
    return VoiceBook([espeak])


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("en", "espeak-en-gb"),
        ("en-US", "espeak-en-us"),
        ("en-AU", "espeak-en-gb"),
        ("zh", "espeak-cmn"),
        ("zh-Hans-CN", "espeak-cmn"),
        ("zh-TW", "espeak-cmn"),
        ("zh_CN", "espeak-cmn"),
        ("cmn", "espeak-cmn"),
        ("yue-HK", "espeak-yue"),
        ("pt-BR", "espeak-pt-br"),
        ("pt-PT", "espeak-pt"),
        ("no", "espeak-nb"),
        ("fr-CA", "espeak-fr"),
    ],
)
def test_a_language_finds_its_voice(book: VoiceBook, language: str, voice: str) -> None:
    assert book.choose([], language).name == voice


@pytest.mark.parametrize("language", ["zu", "br", "x-klingon"])
def test_a_language_without_a_voice(book: VoiceBook, language: str) -> None:
    with pytest.raises(FailedPrecondition, match="no voice speaks"):
        book.choose([], language)


@pytest.mark.parametrize("language", ["!", "english", "en--US", "en-US-"])
def test_what_is_no_tag(book: VoiceBook, language: str) -> None:
    with pytest.raises(InvalidRequest, match="BCP-47"):
        book.choose([], language)


def test_names_by_falling_preference(book: VoiceBook) -> None:
    assert book.choose(["espeak-de"], "").name == "espeak-de"
    assert book.choose(["nobody", "espeak-de"], "").name == "espeak-de"
    assert book.choose(["espeak-de", "espeak-en-us"], "en").name == "espeak-en-us"
    assert book.choose(["espeak-de"], "zh").name == "espeak-cmn"
    assert book.choose(["nobody", "no-one"], "zh").name == "espeak-cmn"
    with pytest.raises(NotFound, match="nobody"):
        book.choose(["nobody"], "")


def test_a_segment_changes_the_voice_only_if_it_must(book: VoiceBook) -> None:
    english = book.choose(["espeak-en-us"], "")

    def voice(text: str, language: str = "", names: tuple[str, ...] = ()) -> str:
        return book.for_segment(names, english, language=language, text=text).name

    assert voice("Hello") == "espeak-en-us"
    assert voice("Hello", "en-GB") == "espeak-en-us"
    assert voice("Guten Tag", "de") == "espeak-de"
    assert voice("你好") == "espeak-cmn"
    assert voice("你好", "zh", ("espeak-yue", "espeak-cmn")) == "espeak-cmn"
    assert voice("好 OK OK") == "espeak-en-us"
    assert voice("東京へ行きます") == "espeak-ja"
    assert voice("Привет, как дела сегодня?") == "espeak-ru"
    assert voice("Καλημέρα") == "espeak-el"
    assert voice("สวัสดี") == "espeak-th"


def test_a_voice_stays_where_it_reads_the_script(book: VoiceBook) -> None:
    ukrainian = book.choose(["espeak-uk"], "")

    voice = book.for_segment([], ukrainian, language="", text="Привіт, як справи?")

    assert voice.name == "espeak-uk"


def test_flite_comes_first_for_english(flite: FliteEngine, espeak: EspeakEngine) -> None:
    book = VoiceBook([flite, espeak])
    assert [voice.name for voice in book.speaking("en-US", field="x")][:2] == ["slt", "rms"]
    assert book.choose([], "").name == "slt"
    assert book.choose([], "de").name == "espeak-de"


async def test_engines_by_name() -> None:
    (engine,) = load_engines(TtsSettings(engine="espeak"))
    assert engine.describe().name == "espeak"
    await engine.close()
    with pytest.raises(SettingsError, match="nothing"):
        load_engines(TtsSettings(engine="nothing"))


async def test_auto_leaves_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.tts.engines.flite_library.LIBRARY", "libflite-missing.so.1")
    engines = load_engines(TtsSettings())
    assert {engine.describe().name for engine in engines} == {"espeak", "kokoro", "piper"}
    for engine in engines:
        await engine.close()
    with pytest.raises(SettingsError, match="apt-get install libflite1"):
        load_engines(TtsSettings(engine="flite"))


class NamedEngine:
    """An engine with one voice for each of its languages, named after both."""

    def __init__(
        self, name: str, languages: Sequence[str], preferences: Mapping[str, int], *, works: bool
    ) -> None:
        self.name = name
        self.languages = languages
        self.preferences = preferences
        self.works = works
        self.closed = False

    async def open(self) -> None:
        if not self.works:
            raise EngineUnavailableError("its weights are missing")

    def describe(self) -> EngineInfo:
        return EngineInfo(name=self.name, version="1", licence="MIT")

    def voices(self) -> Sequence[VoiceInfo]:
        return [voice_of(self.name, language) for language in self.languages]

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


def engine_of(
    name: str, languages: Sequence[str], preferences: Mapping[str, int], *, works: bool = True
) -> NamedEngine:
    return NamedEngine(name, languages, preferences, works=works)


def test_with_auto_each_language_is_spoken_by_the_engine_that_prefers_it_most() -> None:
    engines = [
        engine_of("plain", ["en", "zh", "de"], {"*": 10}),
        engine_of("english", ["en", "zh"], {"en": 80, "zh": 5}),
        engine_of("silent-on-it", ["en", "de"], {}),
    ]
    book = VoiceBook(engines, by_preference=True)
    assert book.choose([], "en-GB").name == "english-en"
    assert book.choose([], "zh").name == "plain-zh"
    assert book.choose([], "de").name == "silent-on-it-de"


def test_without_auto_the_order_of_the_settings_counts() -> None:
    engines = [engine_of("plain", ["en"], {"*": 10}), engine_of("fine", ["en"], {"en": 80})]
    assert VoiceBook(engines).choose([], "en").name == "plain-en"


async def test_auto_leaves_out_an_engine_that_cannot_be_opened() -> None:
    broken = engine_of("broken", ["en"], {"en": 99}, works=False)
    plain = engine_of("plain", ["en"], {})
    assert await open_engines([broken, plain], TtsSettings()) == [plain]
    with pytest.raises(SettingsError, match="none of the installed engines"):
        await open_engines([broken], TtsSettings())
    with pytest.raises(SettingsError, match="ANIMA_TTS_ENGINE: broken: its weights are missing"):
        await open_engines([plain, broken], TtsSettings(engine="plain,broken"))
