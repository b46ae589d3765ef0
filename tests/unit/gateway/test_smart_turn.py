"""The end of a turn by its sound, with a tiny random model of smart-turn's inputs and outputs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from gateway.listening.end_of_turn import rule as rule_module
from gateway.listening.end_of_turn.log_mel import log_mel
from gateway.listening.end_of_turn.rule import EndOfTurnRule, Words, load_rule
from gateway.listening.end_of_turn.smart_turn import SmartTurn, SmartTurnModel, prepared
from gateway.listening.end_of_turn.words import (
    COMPLETE_MS,
    UNFINISHED_MS,
    UNSURE_MS,
    Pause,
    TextAndPause,
)
from gateway.settings import GatewaySettings
from services.runtime.config.settings import SettingsError
from testing.fakes.direct import DirectStages
from tests.unit.gateway import make_whisper_reference as whisper
from tests.unit.gateway.conversing import conversation, run
from tests.unit.gateway.speaking import Speaker, speech


def save_model(path: Path, *, bias: float = 0.0, bands: int = 80) -> Path:
    """Writes a model that convolves, averages and squashes; random but always the same."""
    random = np.random.default_rng(3)
    weights = {
        "kernel": random.normal(0, 0.3, (4, bands, 3)),
        "mix": random.normal(0, 1, (4, 1)),
        "bias": np.array([bias]),
    }
    nodes = [
        helper.make_node("Conv", ["input_features", "kernel"], ["heard"], kernel_shape=[3]),
        helper.make_node("Relu", ["heard"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "mix", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    taken = helper.make_tensor_value_info(
        "input_features", TensorProto.FLOAT, ["batch", bands, 800]
    )
    given = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1])
    constants = [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()]
    graph = helper.make_graph(nodes, "tiny", [taken], [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def settings(**changes: Any) -> GatewaySettings:
    return GatewaySettings(end_of_turn="smart-turn", **changes)


def pause(text: str, samples: NDArray[np.int16]) -> Pause:
    return Pause(text=text, audio=lambda kept_s: samples[-round(kept_s * 16_000) :].tobytes())


def test_features_are_those_of_whisper() -> None:
    reference = json.loads(whisper.REFERENCE.read_text())
    features = log_mel(prepared(whisper.sound(), 16_000))
    assert list(features.shape) == reference["shape"] == [80, 800]
    assert features.mean() == pytest.approx(reference["mean"], abs=1e-4)
    kept = features[whisper.BANDS, whisper.WINDOWS]
    np.testing.assert_allclose(kept, np.array(reference["values"]), atol=2e-3)


def test_last_eight_seconds_count_and_what_is_missing_is_silence_before() -> None:
    short = whisper.sound()
    long = np.concatenate([np.full(5 * 16_000, 9_000, np.int16), np.zeros(3 * 16_000, np.int16)])
    assert prepared(short, 16_000).shape == (8 * 16_000,)
    np.testing.assert_array_equal(
        prepared(short, 16_000), prepared(np.concatenate([long, short]), 16_000)
    )
    silent = prepared(np.zeros(100, np.int16), 16_000)
    assert np.all(np.isfinite(log_mel(silent)))


def test_other_rates_are_brought_to_that_of_the_model() -> None:
    time_s = np.arange(8 * 48_000) / 48_000
    high = np.round(9_000 * np.sin(2 * np.pi * 300 * time_s)).astype(np.int16)
    features = [
        log_mel(prepared(sound, rate)) for sound, rate in ((high, 48_000), (high[::3], 16_000))
    ]
    # Band 8 is the one around 300 Hz; at the very ends the resampler has no input.
    np.testing.assert_allclose(features[0][8, 5:-5], features[1][8, 5:-5], atol=0.02)


def test_probability_is_the_one_that_the_model_says(tmp_path: Path) -> None:
    path = save_model(tmp_path / "smart-turn-v3.2-cpu.onnx")
    model = SmartTurnModel(path)
    expected = ReferenceEvaluator(onnx.load(str(path)))
    heard = []
    for samples in (whisper.sound(), whisper.sound()[:9_000], np.zeros(1_600, np.int16)):
        features = log_mel(prepared(samples, 16_000))[None]
        heard.append(model.finished(samples, 16_000))
        (value,) = expected.run(None, {"input_features": features})
        assert heard[-1] == pytest.approx(float(np.ravel(value)[0]), abs=1e-4)
    assert len({round(each, 4) for each in heard}) == 3


@pytest.mark.parametrize(
    ("bias", "text", "silence_ms"),
    [
        (50.0, "tell me a story", COMPLETE_MS),
        (50.0, "i wanted to ask you about", UNSURE_MS),
        (-50.0, "what can you do", UNSURE_MS),
        (-50.0, "tell me a story", UNFINISHED_MS),
    ],
)
async def test_sound_decides_and_the_words_have_the_second_vote(
    tmp_path: Path, bias: float, text: str, silence_ms: int
) -> None:
    save_model(tmp_path / "smart-turn-v3.2-cpu.onnx", bias=bias)
    rule = load_rule(settings(smart_turn_model=str(tmp_path)))
    try:
        judge = rule.for_session()
        assert await judge.silence_ms(pause(text, whisper.sound())) == silence_ms
        judge.went_on()
        later_ms = min(silence_ms + 100, UNFINISHED_MS)
        assert await judge.silence_ms(pause(text, whisper.sound())) == later_ms
        assert await rule.for_session().silence_ms(pause(text, whisper.sound())) == silence_ms
    finally:
        rule.close()


async def test_without_sound_the_words_decide(tmp_path: Path) -> None:
    rule = SmartTurn(SmartTurnModel(save_model(tmp_path / "model.onnx", bias=-50.0)))
    silent = Pause(text="what can you do")
    assert await rule.for_session().silence_ms(silent) == COMPLETE_MS
    rule.close()


@pytest.mark.parametrize("named", ["", "nowhere", "empty"])
def test_where_no_model_is_the_words_decide_and_the_log_says_so(
    named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    rule = load_rule(settings(smart_turn_model=str(tmp_path / named) if named else ""))
    assert isinstance(rule, Words)
    assert isinstance(rule.for_session(), TextAndPause)
    captured = capsys.readouterr()
    assert "ANIMA_GATEWAY_SMART_TURN_MODEL" in captured.out + captured.err


def test_file_that_is_no_such_model_is_refused_at_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    other = save_model(tmp_path / "other.onnx", bands=64)
    for path in (broken, other):
        with pytest.raises(SettingsError, match="ANIMA_GATEWAY_SMART_TURN_MODEL"):
            load_rule(settings(smart_turn_model=str(path)))


def test_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"ANIMA_GATEWAY_END_OF_TURN: .*smart-turn, words"):
        load_rule(GatewaySettings(end_of_turn="dice"))


class Scripted:
    """A third-party rule."""

    def __init__(self, silence_ms: int) -> None:
        self.pauses: list[tuple[str, int]] = []
        self.closed = False
        self._silence_ms = silence_ms

    def for_session(self) -> Scripted:
        return self

    async def silence_ms(self, pause: Pause) -> int:
        self.pauses.append((pause.text, len(pause.audio(8)) // 2))
        if self._silence_ms < 0:
            raise RuntimeError("this rule is broken")
        await asyncio.sleep(0.05)
        return self._silence_ms

    def went_on(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("silence_ms", "waited_s"), [(700, 0.7), (-1, 1.2)])
def test_rule_of_somebody_else_hears_the_utterance_and_may_fail(
    silence_ms: int, waited_s: float
) -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what can you do"]
        stages.asr.guess_silence_ms, stages.asr.end_silence_ms = 200, None
        rule = Scripted(silence_ms)
        mesh = stages.mesh()
        mesh.end_of_turn = rule
        async with conversation(mesh) as (session, said):
            await Speaker(session).say(speech(0.3, 1.0, 1.5))
            await said.until_kind("turn_started")
            assert said.times("turn_started")[0] == pytest.approx(1.3 + waited_s, abs=0.06)
        ((text, samples),) = rule.pauses
        assert text == "what can you do"
        assert samples / 16_000 == pytest.approx(1.2, abs=0.06)

    run(main)


async def test_rule_is_found_by_its_entry_point_and_closed_with_the_mesh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gateway.stages.mesh import Mesh

    rule = Scripted(400)

    class Entry:
        name = "dice"

        def load(self) -> Any:
            def make(given: GatewaySettings) -> EndOfTurnRule:
                assert given.end_of_turn == "dice"
                return rule

            return make

    monkeypatch.setattr(rule_module, "entry_points", lambda group: [Entry()])
    async with Mesh(GatewaySettings(end_of_turn="dice")) as mesh:
        assert mesh.end_of_turn is rule
    assert rule.closed
