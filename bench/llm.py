"""Measures the overhead of our stage over vLLM's bare engine: first token and tokens a second.

`make bench-llm` uses a tiny random model on the CPU; `--model FOLDER` uses a real one, on a GPU if
there is one. The bare engine is read in the process of the stage, with the prompt's tokens made
beforehand. Our stage is called over gRPC by a client in its own process and makes prompt, tokens
and spoken text itself. A plain server is measured as well: the same client, and each output of the
engine written to it as it comes. It shows the cost of the wire, and of a client on the same machine
as the engine. All sides write the same lengths and run in turns. The rate is measured over eight
streams, each with several answers one after another, so that the engine always has eight to write;
the answers are long, because short ones would measure the first token again.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from bench.models.llm_cancel import stopped_ms
from bench.models.llm_client import QUESTION
from bench.models.llm_plain import plain_server
from services.llm.engines.vllm import VllmEngine
from services.llm.engines.vllm.engine import engine_input
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.persona.profile import Limits
from services.llm.prompt.prompt import build_prompt
from services.llm.servicer import stage_of
from services.llm.settings import LlmSettings
from services.runtime.server import serving

STREAMS = 8
ANSWERS = 4
MAX_ADDED_MS = 5.0
MIN_RATE_SHARE = 0.95
MAX_STOP_MS = 10.0
# Without a GPU, vLLM would use most of the memory for keys and values, and minutes to compile.
CPU_OPTIONS = {
    "dtype": "float32",
    "context_tokens": "4096",
    "kv_cache_mb": "64",
    "engine_args": '{"enforce_eager": true, "block_size": 32}',
}


@dataclass(frozen=True)
class Measured:
    """The measurement of several answers at the same time."""

    first_s: float
    """Median time to the first text or token."""
    total_s: float
    tokens: int
    cpu_s: float
    """CPU time of this process meanwhile, without the engine's own process."""
    client_cpu_s: float = 0.0
    """CPU time of the client's process."""


class BareEngine:
    """The engine itself, with tokens made beforehand."""

    def __init__(self, engine: VllmEngine, prompt: list[int]) -> None:
        self._engine = engine
        self._prompt = prompt
        self._answers = 0

    async def measure(self, streams: int, answers: int) -> Measured:
        started_s, cpu_s = time.perf_counter(), time.process_time()
        found = [
            answer
            for stream in await asyncio.gather(*(self._stream(answers) for _ in range(streams)))
            for answer in stream
        ]
        return Measured(
            statistics.median(first_s for first_s, _ in found),
            time.perf_counter() - started_s,
            sum(tokens for _, tokens in found),
            time.process_time() - cpu_s,
        )

    async def _stream(self, answers: int) -> list[tuple[float, int]]:
        return [await self._answer() for _ in range(answers)]

    async def _answer(self) -> tuple[float, int]:
        core, _ = self._engine.keeper.living()
        self._answers += 1
        started_s, first_s, tokens = time.perf_counter(), 0.0, 0
        async for output in core.generate(
            engine_input(self._prompt, "bench"), self._engine.sampling(), f"bare-{self._answers}"
        ):
            first_s = first_s or time.perf_counter() - started_s
            tokens += len(output.outputs[0].token_ids)
        return first_s, tokens


class Served:
    """The same engine behind a server, called by a client in its own process.

    Args:
        client: The client's process.
        tokens: The average length of an answer, tokens.
        counted: Returns the number of tokens that the server has written so far.
    """

    def __init__(
        self, client: asyncio.subprocess.Process, tokens: int, counted: Callable[[], float]
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._counted = counted

    async def measure(self, streams: int, answers: int) -> Measured:
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        before, cpu_s = self._counted(), time.process_time()
        self._client.stdin.write(f"{streams} {answers} {self._tokens}\n".encode())
        line = await self._client.stdout.readline()
        if not line:
            raise SystemExit("the client has ended; see its error above")
        told = json.loads(line)
        return Measured(
            statistics.median(told["firsts_s"]),
            told["total_s"],
            round(self._counted() - before),
            time.process_time() - cpu_s,
            told["cpu_s"],
        )


Sides = dict[str, BareEngine | Served]


def _counted() -> float:
    """Returns the tokens that our engine has counted so far."""
    return REGISTRY.get_sample_value("anima_llm_answer_tokens_total", {"engine": "vllm"}) or 0.0


@asynccontextmanager
async def client_process(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a client for the body of the `async with`."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.models.llm_client", address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield client
    finally:
        if client.stdin is not None:
            client.stdin.close()
        await client.wait()


async def compare(sides: Sides, tokens: int, rounds: int) -> tuple[float, float]:
    """Prints and returns the ms added to the first token and the share of the bare rate.

    Args:
        sides: "bare", "plain" and "ours".
        tokens: The average length of an answer, tokens.
        rounds: The number of measurements of each side.
    """
    single: dict[str, list[Measured]] = {name: [] for name in sides}
    together: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(-2, rounds):
        for name, side in _in_turns(sides, number):
            measured = await side.measure(1, 1)
            if number >= 0:
                single[name].append(measured)
    for number in range(-2, rounds):
        for name, side in _in_turns(sides, number):
            measured = await side.measure(STREAMS, ANSWERS)
            if measured.tokens != STREAMS * ANSWERS * tokens:
                raise SystemExit(f"{name}: the answers were cut: {measured.tokens} tokens")
            if number >= 0:
                together[name].append(measured)
    first_ms = {
        name: 1000 * statistics.median(one.first_s for one in found)
        for name, found in single.items()
    }
    rates = {name: [one.tokens / one.total_s for one in found] for name, found in together.items()}
    for name in sides:
        cpu_us = statistics.median(1e6 * one.cpu_s / one.tokens for one in together[name])
        client_us = statistics.median(1e6 * one.client_cpu_s / one.tokens for one in together[name])
        print(
            f"{name}: first token {first_ms[name]:.2f} ms, {STREAMS} streams"
            f" {statistics.median(rates[name]):,.0f} tokens/s, CPU a token outside the engine"
            f" {cpu_us:.0f} us, in the client {client_us:.0f} us"
        )
    added_ms = first_ms["ours"] - first_ms["bare"]
    print(f"added to the first token: {added_ms:.2f} ms")
    shares = {other: _shares(rates, other) for other in ("bare", "plain")}
    for other, of_rounds in shares.items():
        print(
            f"rate of ours: {100 * statistics.median(of_rounds):.1f} % of that of {other}"
            f" (in the rounds {100 * min(of_rounds):.0f} to {100 * max(of_rounds):.0f} %)"
        )
    return added_ms, statistics.median(shares["bare"])


def _in_turns(sides: Sides, number: int) -> list[tuple[str, BareEngine | Served]]:
    """Returns the sides in the order of a round, reversed every other time to be fair."""
    return list(sides.items())[:: -1 if number % 2 else 1]


def _shares(rates: dict[str, list[float]], of: str) -> list[float]:
    """Returns our rate as a share of another's, per round: machines slow down for minutes."""
    return [ours / other for ours, other in zip(rates["ours"], rates[of], strict=True)]


async def run(model: Path | None, tokens: int, rounds: int, options: dict[str, str]) -> int:
    """Runs the comparison; returns 0 if all goals are met."""
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            from testing.models.tiny_llm import make_tiny_model

            make_tiny_model(Path(folder))
            model = Path(folder) / "model"
        environment = {
            "ANIMA_LLM_MODEL": str(model),
            "ANIMA_LLM_TEMPERATURE": "0",
            **{f"ANIMA_LLM_{name.upper()}": value for name, value in options.items()},
        }
        settings = LlmSettings.from_environment(environment, listen="127.0.0.1:0")
        engine = VllmEngine(settings)
        catalogue = _talkative(
            PersonaCatalogue.load(settings.personas_dir, settings.default_persona)
        )
        async with serving(stage_of(engine, catalogue, settings), settings) as server:
            await server.ready
            _write_exactly(engine, tokens)
            prompt = await _prompt(engine, catalogue)
            async with (
                plain_server(engine, prompt) as plain,
                client_process(plain.address) as plain_client,
                client_process(server.address) as client,
            ):
                sides: Sides = {
                    "bare": BareEngine(engine, prompt),
                    "plain": Served(plain_client, tokens, lambda: plain.tokens),
                    "ours": Served(client, tokens, _counted),
                }
                added_ms, share = await compare(sides, tokens, rounds)
            stop_ms = await stopped_ms(engine, server.address)
    print(f"the engine is idle {stop_ms:.1f} ms after a cancel (at most {MAX_STOP_MS:.0f})")
    figures = {"added_first_token_ms": added_ms, "rate_share": share, "stop_ms": stop_ms}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    met = added_ms < MAX_ADDED_MS and share >= MIN_RATE_SHARE and stop_ms <= MAX_STOP_MS
    return 0 if met else 1


async def _prompt(engine: VllmEngine, catalogue: PersonaCatalogue) -> list[int]:
    """Returns the tokens that our stage makes from the client's question."""
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
    return await engine.encode(prompt)


def _talkative(catalogue: PersonaCatalogue) -> PersonaCatalogue:
    """Removes the word limit: text that the engine writes after it would not be counted."""
    limits = {"limits": Limits(max_words=2_000)}
    return PersonaCatalogue(
        [
            replace(persona, profile=persona.profile.model_copy(update=limits))
            for persona in catalogue.personas
        ]
    )


def _write_exactly(engine: VllmEngine, tokens: int) -> None:
    """Keeps model and stop words from ending an answer, so that all sides write the same lengths.

    The lengths differ, as those of answers do; otherwise eight streams would start in the same
    millisecond, again and again.
    """
    ordinary = engine.sampling
    lengths = itertools.cycle(_lengths(tokens))

    def sampling() -> Any:
        made = ordinary()
        made.max_tokens = next(lengths)
        made.ignore_eos = True
        return made

    engine.sampling = sampling  # type: ignore[method-assign]


def _lengths(tokens: int) -> list[int]:
    """Returns a length for each stream, from two thirds to four thirds of `tokens`, their mean."""
    longer = [round(tokens * share) for share in (0.05, 0.15, 0.25, 0.35)]
    return [tokens + sign * more for more in longer for sign in (1, -1)]


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="the folder of a real model")
    parser.add_argument("--tokens", type=int, default=256, help="average length of an answer")
    parser.add_argument("--rounds", type=int, default=20, help="number of rounds")
    parser.add_argument("--no-goals", action="store_true", help="a missed goal is no error")
    arguments = parser.parse_args()
    options = {} if _has_gpu() else CPU_OPTIONS
    missed = asyncio.run(run(arguments.model, arguments.tokens, arguments.rounds, options))
    sys.exit(0 if arguments.no_goals else missed)


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


if __name__ == "__main__":
    main()
