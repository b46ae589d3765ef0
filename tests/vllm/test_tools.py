"""Calls of tools, written by a real model that is made to write them, read by vLLM's parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.llm.engines.vllm import VllmEngine
from services.llm.prompt.prompt import build_prompt
from services.llm.requests import read_prompt
from services.runtime.config.settings import SettingsError
from tests.contract.test_llm import CALLED, CLOCK, Answer, ask, config, stub
from tests.vllm.conftest import (
    LOCAL,
    WRITING,
    OpenAiServer,
    Served,
    channel_to,
    served,
    settings_for,
)

WRITTEN = r"""One moment\.<tool_call>
\{"name": "clock", "arguments": \{"place": "Paris"\}\}
</tool_call>"""
QUESTION = "What time is it in Paris?"


def check(answer: Answer) -> None:
    assert answer.text.strip() == "One moment."
    (call,) = answer.calls
    assert call.id
    assert call.name == "clock"
    assert json.loads(call.arguments_json) == {"place": "Paris"}


async def test_vllm_hands_calls_over(vllm_stage: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.sampling_params import StructuredOutputsParams

    engine = vllm_stage.engine
    assert isinstance(engine, VllmEngine)
    ordinary = engine.sampling

    def forced() -> Any:
        sampling = ordinary()
        sampling.max_tokens = 200
        sampling.structured_outputs = StructuredOutputsParams(regex=WRITTEN)
        return sampling

    monkeypatch.setattr(engine, "sampling", forced)
    async with channel_to(vllm_stage) as channel:
        check(await ask(stub(channel), config(QUESTION, tools=[CLOCK])))
        plain = await ask(stub(channel), config(QUESTION))
    assert not plain.calls
    assert plain.text.startswith("One moment.")


async def test_vllms_server_hands_calls_over(tiny: Path, openai_server: OpenAiServer) -> None:
    options = WRITING | {
        "preset": "vllm",
        "base_url": openai_server.base_url,
        "model": "tiny",
        "max_tokens": "200",
        "context_tokens": "2048",
        "extra": json.dumps({"structured_outputs": {"regex": WRITTEN}}),
    }
    settings = settings_for("openai", tiny / "personas", options)
    async with served(settings) as stage, channel_to(stage) as channel:
        check(await ask(stub(channel), config(QUESTION, tools=[CLOCK])))


async def test_the_model_reads_what_came_of_a_call(vllm_stage: Served) -> None:
    from transformers import AutoTokenizer

    engine = vllm_stage.engine
    assert isinstance(engine, VllmEngine)
    sent = config(QUESTION, tools=[CLOCK], tool_results=[CALLED])
    tokens = await engine.encode(read_prompt(sent, vllm_stage.catalogue))
    model = vllm_stage.settings.options["model"]
    text = AutoTokenizer.from_pretrained(model).decode(tokens)
    offered, _, asked = text.partition(f"<|im_start|>user\n{QUESTION}")
    assert '"name": "clock"' in offered
    assert '"arguments": {"place": "Paris"}' in asked
    assert asked.endswith("<|im_start|>tool\n12:30<|im_end|>\n<|im_start|>assistant\n")


async def test_without_a_parser_no_tools_are_offered(vllm_stage: Served, tiny: Path) -> None:
    """A separate engine would take seconds; the outcome is decided before it is called."""
    options = {name: value for name, value in LOCAL.items() if name != "tool_parser"}
    engine = VllmEngine(
        settings_for("vllm", tiny / "personas", options | {"model": str(tiny / "model")})
    )
    assert not engine.describe().calls_tools
    assert vllm_stage.engine.describe().calls_tools
    prompt = build_prompt(
        turn_id="t",
        persona=vllm_stage.catalogue.personas[0],
        language="en",
        question=QUESTION,
        history=(),
        memories=(),
        max_words=0,
        word_interval_ms=None,
        tools=read_prompt(config(tools=[CLOCK]), vllm_stage.catalogue).tools,
    )
    assert prompt.without_tools().tools == ()
    await engine.close()


async def test_an_unknown_parser_is_told_with_those_there_are(tiny: Path) -> None:
    options = LOCAL | {"model": str(tiny / "model"), "tool_parser": "nobody"}
    with pytest.raises(SettingsError, match=r"ANIMA_LLM_TOOL_PARSER.*hermes"):
        VllmEngine(settings_for("vllm", tiny / "personas", options))
