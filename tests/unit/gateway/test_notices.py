"""Sentences for people about stages that do not work."""

from __future__ import annotations

import pytest

from gateway import notices
from gateway.stages.spec import STAGES, StageSpec


def test_a_stage_is_named_as_a_part_of_the_digital_human() -> None:
    assert notices.stage_failed("tts", "en-GB", "1").text.startswith("My voice has failed")
    assert notices.stage_failed("tts", "zh", "1").text.startswith("我的声音")
    assert "hear you" in notices.degraded("asr", "en").text


def test_languages_are_named_in_the_language_of_the_notice() -> None:
    told = notices.language_not_heard("en", "", spoken="zh-CN", known=("en",)).text
    assert told == (
        "I do not understand spoken Chinese here. Please type your question. "
        "When it is spoken, I understand English."
    )
    told = notices.language_not_heard("zh", "", spoken="de", known=("en", "zh")).text
    assert told == "我在这里听不懂de语音，请打字提问。我能听懂英语、中文语音。"
    assert notices.language_not_heard("zh", "").text == "我在这里听不懂中文语音，请打字提问。"


@pytest.mark.parametrize(
    ("language", "part"), [("en", "of me that thinks"), ("zh", "我的思考部分")]
)
def test_a_stage_without_a_sentence_of_its_own_has_a_general_one(language: str, part: str) -> None:
    assert part in notices.degraded("llm", language).text


@pytest.mark.parametrize(("language", "part"), [("en", "A part of me"), ("zh", "我的一部分")])
def test_a_stage_without_texts_is_told_of_too(
    monkeypatch: pytest.MonkeyPatch, language: str, part: str
) -> None:
    spec = StageSpec(
        name="voice", api="anima.tts.v1", service="TtsService", module="voice", default_port=1
    )
    monkeypatch.setitem(STAGES, "voice", spec)
    assert part in notices.degraded("voice", language).text
    assert part in notices.stage_failed("voice", language, "1").text
