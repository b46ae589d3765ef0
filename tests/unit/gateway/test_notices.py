"""Sentences for people about stages that do not work."""

from __future__ import annotations

import pytest

from gateway import notices
from gateway.stages.spec import STAGES, StageSpec


def test_a_stage_is_named_as_a_part_of_the_digital_human() -> None:
    assert notices.stage_failed("tts", "en-GB", "1").text.startswith("My voice has failed")
    assert notices.stage_failed("tts", "zh", "1").text.startswith("我的声音")
    assert "hear you" in notices.degraded("asr", "en").text


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
