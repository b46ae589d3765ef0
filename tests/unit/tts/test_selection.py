"""Which engine speaks by default: quality against speed on this machine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.runtime.engine import EngineInfo
from services.runtime.errors import InvalidRequest
from services.tts.engine import Emit, Pace, SpeechRequest, VoiceInfo
from services.tts.voices import VoiceBook
from tests.unit.tts.speaking import voice_of


class Engine:
    """An engine with one voice for each of its languages."""

    def __init__(self, name: str, preferences: Mapping[str, int], languages: str) -> None:
        self.name = name
        self.preferences = preferences
        self.languages = languages.split()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def describe(self) -> EngineInfo:
        return EngineInfo(name=self.name, version="1", licence="MIT")

    def voices(self) -> list[VoiceInfo]:
        return [voice_of(self.name, language) for language in self.languages]

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None: ...


class Measured(Engine):
    """A natural voice of a known speed."""

    def __init__(self, first_clause_s: float, real_time_factor: float) -> None:
        super().__init__("natural", {"*": 70}, "en-US zh")
        self.measured = Pace(first_clause_s=first_clause_s, real_time_factor=real_time_factor)
        self.pace: Pace | None = self.measured

    async def warm_up(self) -> None:
        self.pace = self.measured

    async def measure(self) -> None:
        self.pace = self.measured.best(self.pace)


def book(natural: Measured, *, flite: bool = True) -> VoiceBook:
    engines: list[Engine] = [natural, Engine("espeak", {"*": 10}, "en-US zh de")]
    if flite:
        engines.append(Engine("flite", {"en": 30}, "en-US"))
    return VoiceBook(engines, by_preference=True)


@pytest.mark.parametrize(
    ("first_clause_s", "real_time_factor", "english", "chinese"),
    [
        (0.2, 0.2, "natural", "natural"),
        (0.35, 0.59, "natural", "natural"),
        (0.36, 0.3, "flite", "natural"),
        (0.2, 0.6, "flite", "espeak"),
        (2.0, 3.0, "flite", "espeak"),
    ],
)
def test_the_most_natural_voice_that_is_in_time(
    first_clause_s: float, real_time_factor: float, english: str, chinese: str
) -> None:
    voices = book(Measured(first_clause_s, real_time_factor))
    assert voices.choose([], "en").engine == english
    assert voices.choose([], "en-US").engine == english
    assert voices.choose([], "zh").engine == chinese
    assert voices.choose([], "de").engine == "espeak"
    wishes = ["natural-en-US", "flite-en-US"]
    assert voices.choose(wishes, "en").engine == english
    assert voices.choose(wishes, "").engine == english
    assert voices.choose(["natural-zh", "espeak-zh"], "zh").engine == chinese


def test_english_without_flite_rather_late_than_robotic() -> None:
    assert book(Measured(0.9, 0.5), flite=False).choose([], "en").engine == "natural"
    assert book(Measured(0.9, 0.7), flite=False).choose([], "en").engine == "espeak"


def test_a_voice_asked_for_by_name_is_used_however_slow() -> None:
    voices = book(Measured(5, 5))
    assert voices.choose(["natural-en-US"], "en").engine == "natural"
    assert voices.choose(["natural-zh"], "").engine == "natural"
    stream = voices.choose([], "en")
    names = ("natural-zh", "espeak-zh")
    assert voices.for_segment(names, stream, language="zh", text="好").engine == "espeak"
    assert voices.for_segment((), stream, language="", text="好").engine == "espeak"


def test_the_reason_is_told() -> None:
    slow, fast, late = book(Measured(5, 5)), book(Measured(0.2, 0.2)), book(Measured(0.9, 0.5))

    def reason(voices: VoiceBook, name: str) -> str:
        found = voices.suitability(next(each for each in voices.all() if each.name == name))
        return found.reason if found else ""

    assert reason(slow, "natural-en-US").startswith("only on request, because 0.6 s is the limit")
    assert reason(fast, "natural-en-US") == "in time: a first clause takes 0.20 s on this machine"
    assert reason(late, "natural-en-US").startswith("only on request, because 0.35 s is the limit")
    assert reason(late, "natural-zh").startswith("late, but the other voices are hard to")
    assert reason(late, "flite-en-US") == ""
    assert set(late.notes()) == {"en-US", "zh"}


def test_until_it_is_measured_it_speaks_only_on_request() -> None:
    natural = Measured(0.2, 0.2)
    natural.pace = None
    voices = book(natural)
    assert voices.choose([], "en").engine == "flite"
    assert voices.choose([], "zh").engine == "espeak"
    assert voices.choose(["natural-zh", "espeak-zh"], "zh").engine == "espeak"
    assert voices.choose(["natural-zh"], "zh").engine == "natural"
    assert voices.notes()["zh"].endswith("only on request until it is loaded and measured")


def test_an_order_in_the_settings_is_kept_however_slow() -> None:
    voices = VoiceBook([Measured(5, 5), Engine("flite", {"en": 30}, "en-US")])
    assert voices.choose([], "en").engine == "natural"
    assert voices.notes() == {}


def test_what_is_no_tag_is_refused_with_names_too() -> None:
    voices = book(Measured(5, 5))
    with pytest.raises(InvalidRequest, match=r"config\.language"):
        voices.choose(["natural-zh", "espeak-zh"], "en--US")
