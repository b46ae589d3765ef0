"""Measures what our stage adds to vLLM's bare engine: first token and tokens a second.

`make bench-llm` takes a tiny random model on the CPU; with `--model FOLDER` a real one, on a GPU if
there is one. Both sides get the same tokens and run in turns, in the same process and run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import REGISTRY

from anima.llm.v1 import GenerateConfig, GenerateRequest, LlmServiceStub
from services.llm.catalogue import PersonaCatalogue
from services.llm.engines.vllm import VllmEngine
from services.llm.prompt import Prompt, build_prompt
from services.llm.servicer import stage_of
from services.llm.settings import LlmSettings
from services.runtime.channels import open_channel
from services.runtime.server import serving

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

STREAMS = 8
MAX_ADDED_MS = 5.0
MIN_RATE_SHARE = 0.95
QUESTION = "What can you do, and how are you built?"


@dataclass
class Measured:
    """One answer."""

    first_s: float
    total_s: float
    tokens: int


@dataclass
class Sides:
    """The two ways to the same engine."""

    engine: VllmEngine
    prompt: Prompt
    llm: LlmServiceAsyncStub
    tokens: int
    answers: int = 0

    def sampling(self) -> Any:
        """As many tokens on both sides, however the answer goes on."""
        sampling = VllmEngine.sampling(self.engine)
        sampling.max_tokens = self.tokens
        sampling.ignore_eos = True
        return sampling

    async def bare(self) -> Measured:
        """The engine itself, with tokens that are made already."""
        core, _ = self.engine.keeper.living()
        tokens = await self.engine.encode(self.prompt)
        self.answers += 1
        started_s = time.perf_counter()
        first_s, count = 0.0, 0
        async for output in core.generate(
            {"prompt_token_ids": tokens, "cache_salt": "bench"},
            self.sampling(),
            f"bare-{self.answers}",
        ):
            first_s = first_s or time.perf_counter() - started_s
            count += len(output.outputs[0].token_ids)
        return Measured(first_s, time.perf_counter() - started_s, count)

    async def ours(self) -> Measured:
        """Our stage over gRPC, prompt and tokeniser included."""
        config = GenerateConfig(
            turn_id="bench", question=QUESTION, user_id="bench", max_words=self.tokens * 4
        )
        started_s = time.perf_counter()
        first_s = 0.0
        async for response in self.llm.Generate(iter([GenerateRequest(config=config)])):
            if response.WhichOneof("event") == "delta":
                first_s = first_s or time.perf_counter() - started_s
        return Measured(first_s, time.perf_counter() - started_s, 0)


def counted() -> float:
    """Tokens that our engine has counted so far."""
    return REGISTRY.get_sample_value("anima_llm_answer_tokens_total", {"engine": "vllm"}) or 0.0


async def rate(measure: Callable[[], Awaitable[Measured]]) -> float:
    """Tokens a second of eight streams at once."""
    before, started_s = counted(), time.perf_counter()
    answers = await asyncio.gather(*(measure() for _ in range(STREAMS)))
    tokens = sum(answer.tokens for answer in answers) + counted() - before
    return tokens / (time.perf_counter() - started_s)


async def compare(sides: Sides, rounds: int) -> tuple[float, float]:
    """Prints and returns the added ms to the first token and the share of the bare rate."""
    for warm in (sides.bare, sides.ours) * 2:
        await warm()
    firsts: dict[str, list[float]] = {"bare": [], "ours": []}
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(rounds):  # in turns: what else the machine does meets both
        for name, measure in (("bare", sides.bare), ("ours", sides.ours)):
            firsts[name].append((await measure()).first_s * 1000)
    for _ in range(max(3, rounds // 4)):
        for name, measure in (("bare", sides.bare), ("ours", sides.ours)):
            rates[name].append(await rate(measure))
    for name in ("bare", "ours"):
        print(
            f"{name}: first token {statistics.median(firsts[name]):.2f} ms,"
            f" {STREAMS} streams {statistics.median(rates[name]):,.0f} tokens/s"
        )
    added_ms = statistics.median(firsts["ours"]) - statistics.median(firsts["bare"])
    share = statistics.median(rates["ours"]) / statistics.median(rates["bare"])
    print(f"added to the first token: {added_ms:.2f} ms; rate: {100 * share:.1f} % of the bare one")
    return added_ms, share


async def run(model: Path | None, tokens: int, rounds: int, options: dict[str, str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            from tests.vllm.tiny_model import make_tiny_model

            make_tiny_model(Path(folder))
            model = Path(folder) / "model"
        environment = {
            "ANIMA_LLM_MODEL": str(model),
            "ANIMA_LLM_TEMPERATURE": "0",
            **{f"ANIMA_LLM_{name.upper()}": value for name, value in options.items()},
        }
        settings = LlmSettings.from_environment(environment, listen="127.0.0.1:0")
        engine = VllmEngine(settings)
        catalogue = PersonaCatalogue.load(settings.personas_dir, settings.default_persona)
        async with serving(stage_of(engine, catalogue, settings), settings) as server:
            await server.ready
            async with open_channel(server.address) as channel:
                prompt = build_prompt(
                    turn_id="bench",
                    persona=catalogue.personas[0],
                    language="en",
                    question=QUESTION,
                    history=(),
                    memories=(),
                    max_words=0,
                    word_interval_ms=None,
                    user_id="bench",
                )
                llm = cast("LlmServiceAsyncStub", LlmServiceStub(channel))
                sides = Sides(engine, prompt, llm, tokens)
                # an answer as long as the bare engine's: neither the model nor its words end it
                engine.sampling = sides.sampling  # type: ignore[method-assign]
                added_ms, share = await compare(sides, rounds)
    print(json.dumps({"added_first_token_ms": round(added_ms, 2), "rate_share": round(share, 4)}))
    return 0 if added_ms < MAX_ADDED_MS and share >= MIN_RATE_SHARE else 1


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="the folder of a real model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    tiny = {
        "dtype": "float32",
        "context_tokens": "4096",
        "kv_cache_mb": "64",
        "engine_args": '{"enforce_eager": true, "block_size": 32}',
    }
    options = {} if arguments.model else tiny
    sys.exit(asyncio.run(run(arguments.model, arguments.tokens, arguments.rounds, options)))


if __name__ == "__main__":
    main()
