"""The books of words; another language needs one file."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway import notices
from gateway.listening.end_of_turn.words import (
    COMPLETE_MS,
    UNFINISHED_MS,
    UNSURE_MS,
    Pause,
    TextAndPause,
)
from gateway.session.turns.utterances import Said, classify
from gateway.stages.spec import STAGES
from gateway.wording.book import BOOKS, book_for, read

GERMAN = """
[notices]
part = "Ein Teil von mir"
failed = "{part} ist ausgefallen. Bitte frag gleich noch einmal."
degraded = "{part} fehlt gerade, es geht ohne weiter."
apology = "Es tut mir leid, ich kann nicht zu Ende sprechen."
not_understood = "Das habe ich nicht verstanden."
language_not_heard = "Ich verstehe hier kein gesprochenes Deutsch."
heard_instead = "Gesprochen verstehe ich {known}."
with_remedy = "{text} (Für den Betreiber: {remedy})"
going_away = "Ich werde neu gestartet."

[notices.stages.avatar]
part = "Mein Gesicht"

[end_of_turn]
asking = "was wer wie wo kannst"
unfinished = "und oder weil der die das"
stranded = "mit von"
whole = ["ja", "nein", "guten Tag"]

[utterances]
backchannels = "genau ach so"
stops = ["hör auf"]
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "de.toml"
    file.write_text(GERMAN, encoding="utf-8")
    monkeypatch.setitem(BOOKS, "de", read(file))


@pytest.mark.usefixtures("german")
def test_a_file_is_all_that_notices_of_a_further_language_need() -> None:
    language = notices.language_for("Was kannst du?", chosen="de-AT", spoken="en")

    assert notices.degraded("avatar", language).text == (
        "Mein Gesicht fehlt gerade, es geht ohne weiter."
    )
    assert notices.stage_failed("llm", language, "t").text.startswith("Ein Teil von mir")
    assert notices.apology("gsw") == "Es tut mir leid, ich kann nicht zu Ende sprechen."
    assert notices.language_for("Was kannst du?", chosen="", spoken="de") == "de"
    assert notices.language_for("你会什么？", chosen="", spoken="de") == "zh"


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize(
    ("text", "silence_ms"),
    [
        ("was kannst du", COMPLETE_MS),
        ("guten Tag", COMPLETE_MS),
        ("ich wollte fragen ob du und", UNFINISHED_MS),
        ("ich komme mit", UNFINISHED_MS),
        ("erzähl mir etwas", UNSURE_MS),
        ("what can you do", UNSURE_MS),
        ("因为", UNFINISHED_MS),
    ],
)
def test_a_file_is_all_that_the_end_of_a_turn_needs(text: str, silence_ms: int) -> None:
    assert TextAndPause().judge(Pause(text=text, language="de")) == silence_ms


@pytest.mark.usefixtures("german")
def test_a_file_is_all_that_utterances_need() -> None:
    assert classify("Genau!") is Said.BACKCHANNEL
    assert classify("ach so") is Said.BACKCHANNEL
    assert classify("Hör auf!") is Said.STOP
    assert classify("uh-huh") is Said.BACKCHANNEL


def test_without_a_book_nothing_is_known_of_the_end_of_a_turn() -> None:
    judge = TextAndPause().judge

    assert judge(Pause(text="ich wollte was", language="de")) == UNSURE_MS
    assert judge(Pause(text="東京に行くのが目的", language="en")) == UNSURE_MS


@pytest.mark.parametrize(
    ("tag", "book"),
    [("en-GB", "en"), ("zh-TW", "zh"), ("zh-Hans-CN", "zh"), ("yue", "zh"), ("cmn", "zh")],
)
def test_related_languages_share_a_book(tag: str, book: str) -> None:
    assert book_for(tag) is BOOKS[book]


@pytest.mark.parametrize("tag", ["de", "ja", "", "x", "not a tag"])
def test_languages_without_a_book(tag: str) -> None:
    assert book_for(tag) is None
    assert notices.apology(tag) == BOOKS["en"].notices.apology


@pytest.mark.parametrize("language", list(BOOKS))
def test_each_book_names_each_stage(language: str) -> None:
    assert set(BOOKS[language].notices.stages) == set(STAGES)


def test_a_field_that_is_misspelt_is_named(tmp_path: Path) -> None:
    file = tmp_path / "xx.toml"
    file.write_text(GERMAN.replace("stranded", "strandet"), encoding="utf-8")

    with pytest.raises(ValidationError, match="strandet"):
        read(file)
