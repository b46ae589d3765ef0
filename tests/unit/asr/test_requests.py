"""The config of a stream, checked against the languages of an engine."""

from __future__ import annotations

import pytest

from anima.asr.v1 import RecognizeConfig
from services.asr.requests import check_config
from services.runtime.engine import EngineInfo
from services.runtime.errors import FailedPrecondition, InvalidRequest


def engine(*languages: str, more: str = "") -> EngineInfo:
    return EngineInfo(
        name="e", version="1", licence="MIT", languages=languages, more_languages=more
    )


def config(language: str = "", *candidates: str) -> RecognizeConfig:
    return RecognizeConfig(
        turn_id="t", sample_rate_hz=16_000, language=language, candidate_languages=candidates
    )


@pytest.mark.parametrize(
    ("candidates", "known"),
    [
        ((), ()),
        (("zh-Hans-CN", "en-GB"), ("zh", "en")),
        (("tlh", "zh"), ("zh",)),
        (("zh-TW", "zh-CN", "en"), ("zh", "en")),
        (("tlh",), ()),
    ],
)
def test_candidates_are_those_that_the_engine_knows(
    candidates: tuple[str, ...], known: tuple[str, ...]
) -> None:
    checked = check_config(config("en", *candidates), engine("en", "zh"))
    assert checked.candidates == known
    assert checked.decoder.candidates == known


def test_malformed_and_too_many_candidates_are_rejected() -> None:
    with pytest.raises(InvalidRequest, match=r"config\.candidate_languages\[1\]: 'e n' is not"):
        check_config(config("en", "zh", "e n"), engine("en"))
    with pytest.raises(InvalidRequest, match=r"config\.candidate_languages: must be at most 100"):
        check_config(config("en", *["zh"] * 101), engine("en"))


def test_language_that_is_not_understood_comes_with_the_remedy() -> None:
    with pytest.raises(FailedPrecondition, match="understands English only, not 'zh-CN'") as caught:
        check_config(config("zh-CN"), engine("en", more="anima models pull ears"))
    assert caught.value.message.endswith("to understand more: anima models pull ears")
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"
    assert caught.value.metadata["remedy"] == "anima models pull ears"
    with pytest.raises(FailedPrecondition, match="ANIMA_ASR_ENGINE"):
        check_config(config("zh-CN"), engine("en"))


def test_person_who_may_speak_a_language_that_is_understood_is_heard() -> None:
    checked = check_config(config("zh-CN", "zh-CN", "en-GB"), engine("en"))
    assert checked.language == "en"
    assert checked.candidates == ("en",)
    assert checked.not_understood == "zh-CN"
    both = check_config(config("zh-CN", "en", "zh"), engine("en", "zh"))
    assert (both.language, both.not_understood) == ("zh", "")


def test_nobody_is_heard_of_whom_no_language_is_understood() -> None:
    with pytest.raises(FailedPrecondition, match="not 'zh-CN'"):
        check_config(config("zh-CN", "zh-CN", "ja"), engine("en"))
