"""The engine `vllm` against transformers, and through our stage over gRPC."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

from anima.llm.v1 import GenerateRequest
from services.llm.engines.vllm import VllmEngine
from services.llm.engines.vllm.engine import engine_input
from services.llm.engines.vllm.pace import Pace
from services.llm.engines.vllm.request import EngineRequest
from services.llm.prompt.prompt import Prompt, build_prompt
from services.llm.servicer import SERVICE
from services.llm.speech.speaking import cache_salt
from services.llm.speech.writing import Writing
from tests.contract.test_llm import ask, config, stub
from tests.figures import report
from tests.vllm.conftest import LOCAL, Served, channel_to, served, settings_for, with_lost

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

QUESTIONS = ("Who are you?", "What can you do?", "你是谁？", "How does your memory work?")
TOKENS = 40


@pytest.fixture
def engine(vllm_stage: Served) -> VllmEngine:
    assert isinstance(vllm_stage.engine, VllmEngine)
    return vllm_stage.engine


def prompt_for(stage: Served, question: str, persona: str = "anima", user_id: str = "") -> Prompt:
    return build_prompt(
        turn_id="t",
        persona=stage.catalogue.choose("persona", persona),
        language="en",
        question=question,
        history=(),
        memories=(),
        max_words=0,
        word_interval_ms=None,
        user_id=user_id,
    )


async def written(engine: VllmEngine, prompt: Prompt, merge_s: float = 0.0) -> list[int]:
    """The tokens that the engine streams for a prompt, one by one or merged."""
    core, adapters = engine.keeper.living()
    tokens: list[int] = []
    sampling = engine.sampling()
    sampling.max_tokens = TOKENS
    async with adapters.use(prompt.persona.profile.adapter) as lora_request:
        request = EngineRequest(
            core,
            f"test-{time.perf_counter_ns()}",
            prompt=engine_input(await engine.encode(prompt), cache_salt(prompt)),
            params=sampling,
            lora_request=lora_request,
        )
        async with request:
            async for output in request.outputs():
                tokens += output.outputs[0].token_ids
                request.merge_s = merge_s
    return tokens


class Reference:
    """Returns the greedy output of transformers and peft for the same tokens."""

    def __init__(self, tiny: Path) -> None:
        from transformers import AutoTokenizer, Qwen3ForCausalLM

        self._folder = tiny
        self._models: dict[str, Any] = {"": Qwen3ForCausalLM.from_pretrained(tiny / "model").eval()}
        self.tokeniser = AutoTokenizer.from_pretrained(tiny / "model")

    def write(self, prompt: Sequence[int], adapter: str = "") -> list[int]:
        import torch

        sent = torch.tensor([list(prompt)])
        with torch.inference_mode():
            answer = self._model(adapter).generate(
                input_ids=sent,
                attention_mask=torch.ones_like(sent),
                max_new_tokens=TOKENS,
                do_sample=False,
            )
        tokens: list[int] = answer[0, len(prompt) :].tolist()
        return tokens

    def _model(self, adapter: str) -> Any:
        from peft import PeftModel
        from transformers import Qwen3ForCausalLM

        if adapter not in self._models:
            base = Qwen3ForCausalLM.from_pretrained(self._folder / "model")
            path = self._folder / "adapters" / adapter
            self._models[adapter] = PeftModel.from_pretrained(base, path).eval()
        return self._models[adapter]


@pytest.fixture(scope="session")
def reference(tiny: Path) -> Reference:
    return Reference(tiny)


@pytest.mark.parametrize("adapter", ["", "calm", "loud"])
async def test_tokens_equal_those_of_transformers(
    vllm_stage: Served, engine: VllmEngine, reference: Reference, adapter: str
) -> None:
    for question in QUESTIONS[:3]:
        prompt = prompt_for(vllm_stage, question, adapter or "anima")
        expected = reference.write(await engine.encode(prompt), adapter)
        assert await written(engine, prompt) == expected
        if adapter:
            assert expected != reference.write(await engine.encode(prompt))


async def test_eight_streams_with_and_without_adapters_equal_single_ones(
    vllm_stage: Served, engine: VllmEngine
) -> None:
    """Rows without an adapter read a wrong one on a CPU when every slot is taken."""
    prompts = [
        prompt_for(vllm_stage, question, persona)
        for question in QUESTIONS[:3]
        for persona in ("anima", "calm", "loud")
    ][:8]
    single = [await written(engine, prompt) for prompt in prompts]
    for merge_s in (0.0, 0.005, 10.0):
        together = await asyncio.gather(*(written(engine, prompt, merge_s) for prompt in prompts))
        assert together == single


async def test_the_answer_over_grpc_is_the_spoken_text_of_the_tokens(
    vllm_stage: Served,
    engine: VllmEngine,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As for a model of unknown pace: measurements of earlier tests would merge tokens.
    monkeypatch.setattr(engine, "_pace", Pace())
    prompt = prompt_for(vllm_stage, "Who are you?")
    tokens = await engine.encode(prompt)
    raw = reference.tokeniser.decode(reference.write(tokens), skip_special_tokens=True)
    writing = Writing(prompt)
    expected = writing.feed(raw)
    async with channel_to(vllm_stage) as channel:
        answer = await ask(stub(channel), config("Who are you?"))
    assert answer.text[: len(expected) - 1] == expected[:-1]
    assert len(answer.deltas) > 5


def children() -> dict[int, psutil.Process]:
    """The processes below this one that compute."""
    found = psutil.Process().children(recursive=True)
    return {one.pid: one for one in found if "resource_tracker" not in " ".join(one.cmdline())}


async def idle(core: Any) -> None:
    while core.get_num_unfinished_requests():  # noqa: ASYNC110 (vLLM tells it in no other way)
        await asyncio.sleep(0)


async def cpu_used_s(process: psutil.Process, wall_s: float) -> float:
    """The CPU time of a process during a period."""
    before = process.cpu_times()
    await asyncio.sleep(wall_s)
    return float(process.cpu_times().user - before.user)


async def cancelled_after_text(llm: LlmServiceAsyncStub, core: Any) -> float:
    """Cancels a long answer in the middle; returns how long the engine went on, s."""
    call = llm.Generate(iter([GenerateRequest(config=config("What can you do?"))]))
    async for response in call:
        if response.WhichOneof("event") == "delta":
            break
    assert core.get_num_unfinished_requests() == 1
    started_s = time.perf_counter()
    call.cancel()
    await asyncio.wait_for(idle(core), 90)
    return time.perf_counter() - started_s


async def test_a_cancel_by_the_client_stops_the_engine(
    vllm_stage: Served, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, _ = engine.keeper.living()
    ordinary = engine.sampling

    def endless() -> Any:
        sampling = ordinary()
        sampling.max_tokens = 3_000
        sampling.ignore_eos = True
        return sampling

    monkeypatch.setattr(engine, "sampling", endless)
    async with channel_to(vllm_stage) as channel:
        llm = stub(channel)
        took_s = [await cancelled_after_text(llm, core) for _ in range(5)]
    report(f"vllm stopped after a cancel: median {1000 * statistics.median(took_s):.1f} ms")
    # and the process of the engine has nothing to compute any more
    assert await cpu_used_s(core_process(), 0.3) < 0.1


def core_process() -> psutil.Process:
    """The engine's own process: vLLM gives it this name."""
    return next(one for one in children().values() if "EngineCore" in " ".join(one.cmdline()))


async def test_a_cancel_at_any_moment_leaves_nothing_behind(
    vllm_stage: Served, engine: VllmEngine
) -> None:
    """A cancel in the middle of vLLM's own submission leaks the request (vllm#57061)."""
    core, _ = engine.keeper.living()
    for yields in range(24):
        task = asyncio.create_task(
            anext(engine.answer(prompt_for(vllm_stage, "Who are you?", user_id="u")))
        )
        for _ in range(yields):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    await asyncio.wait_for(idle(core), 90)
    assert await written(engine, prompt_for(vllm_stage, "Who are you?"))


async def test_prefixes_are_known_again_but_only_to_the_same_person(
    vllm_stage: Served,
) -> None:
    def hits() -> float:
        return (
            REGISTRY.get_sample_value("anima_llm_cached_prompt_tokens_total", {"engine": "vllm"})
            or 0.0
        )

    async with channel_to(vllm_stage) as channel:
        llm = stub(channel)
        known: dict[str, list[float]] = {"ann": [], "bob": [], "": []}
        for user in ("ann", "ann", "bob", "", ""):
            before = hits()
            await ask(llm, config("Who are you?", user_id=user))
            known[user].append(hits() - before)
    assert known["ann"][0] == 0
    assert known["ann"][1] > 64
    assert known["bob"] == [0]
    assert known[""] == [0, 0]


async def test_a_missing_adapter_is_not_found_and_harms_nobody(
    vllm_stage: Served, tiny: Path
) -> None:
    async with with_lost(vllm_stage, tiny) as stage, channel_to(stage) as channel:
        llm = stub(channel)
        bystander = asyncio.create_task(ask(llm, config("What can you do?")))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(llm, config(persona="lost"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert "missing" in str(caught.value.details())
        assert (await bystander).text


async def test_a_broken_adapter_is_refused_and_harms_nobody(vllm_stage: Served, tiny: Path) -> None:
    broken = tiny / "adapters" / "missing"
    shutil.copytree(tiny / "adapters" / "calm", broken)
    (broken / "adapter_model.safetensors").write_bytes(b"no tensors")
    try:
        async with with_lost(vllm_stage, tiny) as stage, channel_to(stage) as channel:
            llm = stub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(llm, config(persona="lost"))
            assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert (await ask(llm, config())).text
    finally:
        shutil.rmtree(broken)


async def test_an_adapter_that_changes_on_the_disk_is_loaded_anew(
    vllm_stage: Served, engine: VllmEngine, tiny: Path, reference: Reference
) -> None:
    folder = tiny / "adapters" / "missing"
    async with with_lost(vllm_stage, tiny) as stage:
        prompt = prompt_for(stage, "Who are you?", "lost", user_id="u")
    tokens = await engine.encode(prompt)
    try:
        for source in ("calm", "loud"):
            shutil.copytree(tiny / "adapters" / source, folder, dirs_exist_ok=True)
            for file in folder.iterdir():
                os.utime(file)
            assert await written(engine, prompt) == reference.write(tokens, source)
    finally:
        shutil.rmtree(folder)


async def test_structured_output_is_kept_as_it_is(tiny: Path, vllm_stage: Served) -> None:
    from services.llm.engines.vllm.engine import _structure

    engine = vllm_stage.engine
    assert isinstance(engine, VllmEngine)
    core, _ = engine.keeper.living()
    sampling = engine.sampling()
    schema = {
        "type": "object",
        "properties": {"good_answer": {"enum": ["yes", "no"]}},
        "required": ["good_answer"],
        "additionalProperties": False,
    }
    sampling.structured_outputs = _structure(
        {"type": "json_schema", "json_schema": {"schema": schema}}
    )
    tokens = await engine.encode(prompt_for(vllm_stage, "Good?"))
    request = EngineRequest(core, "json", prompt=engine_input(tokens, "salt"), params=sampling)
    async with request:
        text = "".join([output.outputs[0].text async for output in request.outputs()])
    assert text in ('{"good_answer": "yes"}', '{"good_answer":"yes"}', '{"good_answer":"no"}')
    kept = Writing(prompt_for(vllm_stage, "Good?"), as_written=True)
    assert kept.feed(text) + kept.finish() == text


async def test_the_engine_killed_in_mid_stream_is_told_and_comes_back(
    tiny: Path, openai_server: object
) -> None:
    """A separate engine: the other tests must not lose theirs."""
    options = LOCAL | {"model": str(tiny / "model"), "max_tokens": "2000"}
    known = children()
    async with (
        served(settings_for("vllm", tiny / "personas", options)) as stage,
        channel_to(stage) as channel,
    ):
        llm = stub(channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        health = health_pb2_grpc.HealthStub(channel).Watch(request)
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        call = llm.Generate(iter([GenerateRequest(config=config("What?", word_interval_ms=100))]))
        responses = aiter(call)
        while (await anext(responses)).WhichOneof("event") != "delta":
            pass
        for pid in children().keys() - known.keys():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [response async for response in responses]
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(llm, config())
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await ask(llm, config())).text
        health.cancel()
