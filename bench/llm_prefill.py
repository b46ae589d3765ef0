"""Measures what a prefill saves: the first token after the end of speech, in a long conversation.

    python -m bench.llm_prefill vllm [--model FOLDER]
    python -m bench.llm_prefill gguf [--model FILE]

A client asks the stage over gRPC, each time as another user with a history of 4,000 tokens: once
without and once after a prefill, as the gateway sends it when the person begins to speak. The time
from the question to the first text is compared with one step of the bare engine in a context of the
same length: what no server can be faster than. Without `--model` it is a tiny random model; a real
one reads 4,000 tokens for a minute on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
from prometheus_client import REGISTRY

from anima.llm.v1 import (
    ROLE_ASSISTANT,
    ROLE_USER,
    GenerateConfig,
    GenerateRequest,
    LlmServiceStub,
    Message,
    PrefillRequest,
)
from services.llm.engine import LlmEngine
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.prompt.chat import build_chat, message_fields
from services.llm.prompt.prompt import Prompt
from services.llm.requests import read_prompt
from services.llm.servicer import stage_of
from services.llm.settings import LlmSettings
from services.runtime.calls.channels import open_channel
from services.runtime.engines import load_engine
from services.runtime.server import serving

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

HISTORY_TOKENS = 4_000
MESSAGES = 40
MAX_ADDED_MS = 30.0
STEPS = 64
CONTEXT_TOKENS = 8_192
QUESTION = "And what did I tell you about it?"
SENTENCE = "We went along the river to the old mill, and then it rained. "
OPTIONS = {
    "vllm": {
        "dtype": "float32",
        "kv_cache_mb": "128",
        "engine_args": '{"enforce_eager": true, "block_size": 32}',
    },
    "gguf": {"slots": "1"},
}

Step = Callable[[Any, Prompt], Awaitable[float]]


def history(words: int) -> list[Message]:
    """Returns a conversation of `MESSAGES` messages.

    Args:
        words: The words of each message.
    """
    spoken = (SENTENCE * (1 + words // 8)).split()[:words]
    return [
        Message(
            role=ROLE_USER if number % 2 == 0 else ROLE_ASSISTANT,
            text=f"{number}: {' '.join(spoken)}",
        )
        for number in range(MESSAGES)
    ]


class Client:
    """Asks one stage.

    Args:
        llm: The stub.
        engine: The name of the engine, for its metrics.
    """

    def __init__(self, llm: LlmServiceAsyncStub, engine: str) -> None:
        self._llm = llm
        self._engine = engine

    def config(self, words: int) -> GenerateConfig:
        """Returns the question of a new user."""
        return GenerateConfig(
            turn_id="bench",
            question=QUESTION,
            language="en",
            history=history(words),
            user_id=uuid.uuid4().hex,
        )

    async def prefill(self, config: GenerateConfig) -> None:
        """Makes the stage read a conversation."""
        early = GenerateConfig()
        early.CopyFrom(config)
        early.question = ""
        response = await self._llm.Prefill(PrefillRequest(config=early))
        if not response.read:
            raise SystemExit("the stage did not read the conversation")

    async def first_text_s(self, config: GenerateConfig) -> float:
        """Asks and returns the time to the first text, s."""
        started_s, first_s = time.perf_counter(), 0.0
        async for response in self._llm.Generate(iter([GenerateRequest(config=config)])):
            if response.WhichOneof("event") == "delta":
                first_s = first_s or time.perf_counter() - started_s
        return first_s

    async def prompt_tokens(self, config: GenerateConfig) -> float:
        """Returns the tokens of the prompt of a question."""
        before = self._sample("anima_llm_prompt_tokens_total")
        async for _ in self._llm.Generate(iter([GenerateRequest(config=config)])):
            pass
        return self._sample("anima_llm_prompt_tokens_total") - before

    def _sample(self, name: str) -> float:
        return REGISTRY.get_sample_value(name, {"engine": self._engine}) or 0.0


async def vllm_step_s(engine: Any, prompt: Prompt) -> float:
    """Returns the time of one step of vLLM's engine, s."""
    from services.llm.engines.vllm.engine import engine_input

    core, _ = engine.keeper.living()
    sampling = engine.sampling()
    sampling.max_tokens, sampling.ignore_eos = STEPS, True
    tokens = engine_input(await engine.encode(prompt), "bare")
    outputs = core.generate(tokens, sampling, f"bare-{uuid.uuid4().hex}")
    times = [time.perf_counter() async for _ in outputs]
    return statistics.median(after - before for before, after in itertools.pairwise(times))


async def gguf_step_s(engine: Any, prompt: Prompt) -> float:
    """Returns the time of one step of llama.cpp, by its own clock, s."""
    chat = build_chat(prompt, max_tokens=CONTEXT_TOKENS - STEPS)
    body = {
        "messages": [message_fields(one, parsed=False) for one in chat.messages],
        "n_predict": STEPS,
        "ignore_eos": True,
    }
    transport = httpx.AsyncHTTPTransport(uds=str(engine.process.socket))
    async with httpx.AsyncClient(transport=transport, timeout=600) as client:
        response = await client.post("http://model/v1/chat/completions", json=body)
    return float(response.json()["timings"]["predicted_per_token_ms"]) / 1000


STEP: dict[str, Step] = {"vllm": vllm_step_s, "gguf": gguf_step_s}


@contextmanager
def model_of(engine: str, model: Path | None) -> Iterator[Path]:
    """Yields the model to measure."""
    if model is not None:
        yield model
        return
    with tempfile.TemporaryDirectory() as folder:
        if engine == "gguf":
            from testing.models.tiny_gguf import make_tiny_gguf

            make_tiny_gguf(Path(folder) / "tiny.gguf", context=CONTEXT_TOKENS)
            yield Path(folder) / "tiny.gguf"
        else:
            from testing.models.tiny_llm import make_tiny_model

            make_tiny_model(Path(folder), context_tokens=CONTEXT_TOKENS)
            yield Path(folder) / "model"


async def run(name: str, model: Path, rounds: int) -> int:
    """Runs the comparison; returns 0 if the goal is met."""
    options = {
        "model": str(model),
        "temperature": "0",
        "max_tokens": "8",
        "context_tokens": str(CONTEXT_TOKENS),
    } | OPTIONS[name]
    settings = LlmSettings.from_environment(
        {f"ANIMA_LLM_{option.upper()}": value for option, value in options.items()},
        engine=name,
        listen="127.0.0.1:0",
    )
    engine: LlmEngine = load_engine("llm", name, settings)
    catalogue = PersonaCatalogue.load(settings.personas_dir, settings.default_persona)
    async with serving(stage_of(engine, catalogue, settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            client = Client(cast("LlmServiceAsyncStub", LlmServiceStub(channel)), name)
            words, tokens = await _words(client)
            cold, warm = [], []
            for _ in range(rounds):
                cold.append(await client.first_text_s(client.config(words)))
                config = client.config(words)
                await client.prefill(config)
                warm.append(await client.first_text_s(config))
            prompt = read_prompt(client.config(words), catalogue)
            step_s = await STEP[name](engine, prompt)
    return _report(name, model, tokens=tokens, cold=cold, warm=warm, step_s=step_s)


def _report(
    name: str, model: Path, *, tokens: int, cold: list[float], warm: list[float], step_s: float
) -> int:
    cold_ms, warm_ms = (1000 * statistics.median(times) for times in (cold, warm))
    step_ms = 1000 * step_s
    added_ms = warm_ms - step_ms
    print(f"{name}, {model.name}, prompts of {tokens} tokens, {len(cold)} rounds")
    print(f"first text without prefill {cold_ms:.1f} ms, after a prefill {warm_ms:.1f} ms")
    print(f"one step of the bare engine {step_ms:.1f} ms")
    print(f"added after a prefill: {added_ms:.1f} ms (at most {MAX_ADDED_MS:.0f})")
    figures = {"cold_ms": cold_ms, "prefilled_ms": warm_ms, "step_ms": step_ms}
    print(json.dumps({key: round(value, 2) for key, value in figures.items()}))
    return 0 if added_ms <= MAX_ADDED_MS else 1


async def _words(client: Client) -> tuple[int, int]:
    """Returns the words of a message for which the history has `HISTORY_TOKENS`, and the tokens."""
    few, many = [await client.prompt_tokens(client.config(words)) for words in (8, 24)]
    for_each = (many - few) / 16
    base = few - 8 * for_each
    short = await client.prompt_tokens(_without_history(client.config(8)))
    words = round((HISTORY_TOKENS + short - base) / for_each)
    tokens = await client.prompt_tokens(client.config(words))
    if tokens - short < 0.95 * HISTORY_TOKENS:
        raise SystemExit(f"the history has only {tokens - short:.0f} tokens: the rest was omitted")
    return words, round(tokens)


def _without_history(config: GenerateConfig) -> GenerateConfig:
    del config.history[:]
    return config


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(OPTIONS))
    parser.add_argument("--model", type=Path, help="a real model")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--no-goals", action="store_true", help="a missed goal is no error")
    arguments = parser.parse_args()
    with model_of(arguments.engine, arguments.model) as model:
        missed = asyncio.run(run(arguments.engine, model, arguments.rounds))
    sys.exit(0 if arguments.no_goals else missed)


if __name__ == "__main__":
    main()
