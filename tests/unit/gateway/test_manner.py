"""A person asks for another voice or speed: the answer itself is spoken so, and all after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.turn.speaking.manner import TOOL, Manner, changed
from services.runtime.errors import InvalidRequest
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import conversation, run
from tests.unit.gateway.speaking import speech
from tests.unit.gateway.test_speculation import listening

SLOWER = '{"speed": "slower"}'
PERSONA = llm.Persona(
    voices=[llm.PersonaVoice(language="en", voices=["gone", "slow", "ann"], rate_percent=110)]
)


def voice(
    name: str,
    *,
    language: str = "en-US",
    engine: str = "fine",
    gender: tts.Gender.ValueType = tts.GENDER_FEMALE,
    use: tts.VoiceUse.ValueType = tts.VOICE_USE_IN_TIME,
) -> tts.Voice:
    return tts.Voice(
        name=name,
        display_name=name.capitalize(),
        languages=[language],
        engine=engine,
        gender=gender,
        use=use,
    )


VOICES = (
    voice("slow", use=tts.VOICE_USE_TOO_LATE),
    voice("ann"),
    voice("ben", gender=tts.GENDER_MALE),
    voice("cat"),
    voice("robot", engine="plain", gender=tts.GENDER_MALE, use=tts.VOICE_USE_ALWAYS),
    voice("mei", language="zh", engine="plain"),
)


def ask(
    manner: Manner, arguments: str, *, language: str = "en", known: Sequence[tts.Voice] = VOICES
) -> tuple[Manner, dict[str, Any]]:
    """Returns the manner after a call, and what the model is told."""
    call = llm.ToolCall(id="1", name="change_speech", arguments_json=arguments)
    after, result = changed(manner, call, language=language, persona=PERSONA, known_voices=known)
    assert result.call == call
    told = json.loads(result.text)
    assert isinstance(told, dict)
    return after, told


def test_speed_goes_in_steps_between_its_limits() -> None:
    manner, seen = Manner(), []
    for _ in range(4):
        manner, told = ask(manner, SLOWER)
        seen.append((manner.rate_percent, told["speed"]))
    assert seen == [(80, "changed"), (60, "changed"), (60, "limit"), (60, "limit")]
    manner, told = ask(manner, '{"speed": "usual"}')
    assert (manner, told) == (Manner(), {"speed": "changed", "speed_percent": 100})
    assert ask(manner, '{"speed": "usual"}')[1]["speed"] == "same"
    assert ask(Manner(rate_percent=160), '{"speed": "faster"}')[1]["speed"] == "limit"
    assert ask(Manner(rate_percent=150), '{"speed": "faster"}')[0].rate_percent == 160


@pytest.mark.parametrize(
    ("now", "wish", "language", "expected"),
    [
        ("", "other", "en", "ben"),  # the persona's own is ann: slow does not speak in time
        ("ben", "other", "en", "cat"),
        ("cat", "other", "en", "ann"),
        ("robot", "other", "en", "ann"),
        ("slow", "other", "en", "ann"),
        ("", "female", "en", "cat"),
        ("", "male", "en-GB", "ben"),
        ("ben", "male", "en", "robot"),
        ("", "other", "zh", None),
        ("", "male", "zh", None),
        ("ben", "other", "fr", None),
    ],
)
def test_another_voice_of_the_language(
    now: str, wish: str, language: str, expected: str | None
) -> None:
    after, told = ask(Manner(voice=now), json.dumps({"voice": wish}), language=language)
    if expected is None:
        assert (after.voice, told) == (now, {"voice": "none"})
    else:
        assert (after.voice, told["voice"]) == (expected, "changed")
        assert told["voice_name"] == expected.capitalize()


def test_both_at_once() -> None:
    after, told = ask(Manner(), '{"speed": "faster", "voice": "male"}')
    assert after == Manner("ben", 120)
    assert set(told) == {"speed", "speed_percent", "voice", "voice_name"}


@pytest.mark.parametrize("arguments", ["", "{}", "[]", "x", '{"speed": "warp"}', '{"speed": 1}'])
def test_arguments_of_a_model_that_are_none_change_nothing(arguments: str) -> None:
    after, told = ask(Manner(), arguments)
    assert after == Manner()
    assert "error" in told


def test_another_tool_is_not_run() -> None:
    call = llm.ToolCall(id="1", name="format_disk", arguments_json="{}")
    after, result = changed(Manner(), call, language="en", persona=PERSONA, known_voices=VOICES)
    assert after == Manner()
    assert "error" in result.text


def test_the_answer_and_all_after_it_are_spoken_so() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.calls = {"Slower, please.": SLOWER, "Another voice!": '{"voice": "other"}'}
        async with conversation(stages.mesh()) as (session, said):
            for number, text in enumerate(
                ("Hello?", "Slower, please.", "Hm?", "Another voice!"), 1
            ):
                await session.text(text)
                await said.until_kind("turn_ended", number)
        rates = [(list(each.voices), each.rate_percent) for each in stages.tts.configs]
        assert rates == [(["amy"], 110), (["amy"], 88), (["amy"], 88), (["bob"], 88)]
        events = [(each.voice, each.rate_percent) for each in said.all("speech_changed")]
        assert events == [("", 80), ("bob", 80)]
        asked = [(each.question, len(each.tool_results)) for each in stages.llm.configs]
        assert asked[1:3] == [("Slower, please.", 0), ("Slower, please.", 1)]
        assert json.loads(stages.llm.configs[2].tool_results[0].text)["speed"] == "changed"
        assert all(list(each.tools) == [TOOL] for each in stages.llm.configs)
        kinds = said.kinds()
        assert kinds.index("speech_changed") < kinds.index("media", kinds.index("speech_changed"))

    run(main)


def test_a_session_may_open_with_a_speed() -> None:
    async def main(stages: DirectStages) -> None:
        config = pb.ConverseConfig(rate_percent=120)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")
        assert stages.tts.configs[0].rate_percent == 132
        for wrong in (59, 161):
            with pytest.raises(InvalidRequest, match=r"config\.rate_percent"):
                async with conversation(stages.mesh(), pb.ConverseConfig(rate_percent=wrong)):
                    pass

    run(main)


def test_in_writing_no_tool_is_offered() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.calls = {"Slower!": SLOWER}
        async with conversation(stages.mesh(), pb.ConverseConfig(text_only=True)) as (
            session,
            said,
        ):
            await session.text("Slower!")
            await said.until_kind("turn_ended")
        assert not stages.llm.configs[0].tools
        assert not said.all("speech_changed")

    run(main)


def test_the_tool_can_be_left_out() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(speech_by_asking=False)) as (session, said):
            await session.text("Slower!")
            await said.until_kind("turn_ended")
        assert not stages.llm.configs[0].tools

    run(main)


def test_a_guess_that_was_wrong_changes_nothing() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["speak slower"]
        stages.llm.calls = {"speak slower": SLOWER}
        async with listening(stages) as (microphone, said):
            # speech goes on after the guess, so its answer is dropped
            await microphone.say(speech(0.3, 1.0, 0.3, 1.0))
            stages.llm.calls = {}
            await microphone.say(speech(0.0, 0.0, 2.0))
            await said.until_kind("turn_ended")
            assert len(stages.llm.configs) >= 2
            assert not said.all("speech_changed")
            assert stages.tts.configs[-1].rate_percent == 110

    run(main)


def test_a_guess_that_was_right_tells_it_once() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["speak slower"]
        stages.llm.calls = {"speak slower": SLOWER}
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert ended.speculative
            assert [each.rate_percent for each in said.all("speech_changed")] == [80]
            assert said.kinds().index("turn_started") < said.kinds().index("speech_changed")
            assert stages.tts.configs[-1].rate_percent == 88

    run(main)
