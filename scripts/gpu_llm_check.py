"""Checks and measures the engine `vllm` with a real model, on a machine with a GPU.

    python scripts/gpu_llm_check.py --model FOLDER [--adapters FOLDER] [--skip-tests]
    python scripts/gpu_llm_check.py --tiny

It needs `pip install anima[vllm]` and the tests' `pytest pytest-asyncio pytest-timeout`. It runs
the conformance suite of the stage, including the required knowledge of an answer, then the
benchmark against the bare engine. With `--adapters`, a persona can name a subfolder to use that
adapter. `--tiny` tests the script itself, even without a GPU: it makes a random model (with `peft`)
that knows nothing, so only the protocol is tested.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import services.runtime as _runtime  # noqa: F401 (first: it keeps libraries from reporting)

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 900.0
STOP_TIMEOUT_S = 60.0
PROTOCOL = "tests/contract/test_llm.py"
KNOWLEDGE = "tests/contract/test_llm_knowledge.py"
# Without a GPU, vLLM would use most of the memory for keys and values, and minutes to compile.
CPU_OPTIONS = {
    "ANIMA_LLM_DTYPE": "float32",
    "ANIMA_LLM_KV_CACHE_MB": "512",
    "ANIMA_LLM_CONTEXT_TOKENS": "4096",
    "ANIMA_LLM_MAX_TOKENS": "128",
    "ANIMA_LLM_ENGINE_ARGS": '{"enforce_eager": true, "block_size": 32}',
}


def describe_machine() -> bool:
    """Prints the machine on which the figures are taken; returns whether there is a GPU."""
    import torch
    import vllm

    print(f"Python {platform.python_version()}, torch {torch.__version__}, vLLM {vllm.__version__}")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        print(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB", flush=True)
        return True
    print("no GPU that torch can use: these are figures of the CPU", flush=True)
    return False


def run_tests(environment: dict[str, str], tests: list[str]) -> int:
    """Starts the stage as a user would and runs tests against it.

    Args:
        environment: The variables of the stage.
        tests: Files of the conformance suite.
    """
    address = f"127.0.0.1:{_free_port()}"
    stage = subprocess.Popen(
        [sys.executable, "-m", "services.llm"],
        cwd=ROOT,
        env=environment | {"ANIMA_LLM_LISTEN": address},
    )
    try:
        asyncio.run(_ready(address, stage))
        pytest = [sys.executable, "-m", "pytest", "-q", "--timeout", "300", *tests]
        return subprocess.run([*pytest, "--llm-address", address], cwd=ROOT, check=False).returncode
    finally:
        stage.terminate()
        try:
            stage.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            stage.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _ready(address: str, stage: subprocess.Popen[bytes]) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    from services.llm.servicer import SERVICE
    from services.runtime.calls.channels import open_channel

    async def serving() -> None:
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        async with open_channel(address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
            async for seen in watch:
                if seen.status == health_pb2.HealthCheckResponse.SERVING:
                    return

    ready = asyncio.create_task(serving())
    async with asyncio.timeout(START_TIMEOUT_S):
        while not (await asyncio.wait({ready}, timeout=1))[0]:
            if stage.poll() is not None:
                raise SystemExit(f"the stage exited with {stage.returncode}; see its log")
    ready.result()


def check(arguments: argparse.Namespace, model: Path) -> int:
    """Runs the tests and the benchmark; returns 0 if both succeed."""
    gpu = describe_machine()
    environment = dict(os.environ)
    if not gpu:
        environment |= CPU_OPTIONS
    environment |= {
        "ANIMA_LLM_ENGINE": "vllm",
        "ANIMA_LLM_MODEL": str(model),
        "ANIMA_LLM_TEMPERATURE": "0",
        "ANIMA_LLM_SEED": "0",
    }
    if arguments.adapters:
        environment["ANIMA_LLM_ADAPTERS_DIR"] = str(arguments.adapters.resolve())
    failed = 0
    if not arguments.skip_tests:
        failed = run_tests(environment, [PROTOCOL] if arguments.tiny else [PROTOCOL, KNOWLEDGE])
    bench = [sys.executable, "-m", "bench.llm", "--model", str(model)]
    bench += ["--rounds", str(arguments.rounds)]
    measured = subprocess.run(bench, cwd=ROOT, check=False).returncode
    return failed or measured


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path, help="a folder in HF format")
    which.add_argument("--tiny", action="store_true", help="test the script with a random model")
    parser.add_argument("--adapters", type=Path, help="a folder of LoRA adapters")
    parser.add_argument("--skip-tests", action="store_true")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the benchmark")
    arguments = parser.parse_args()
    if arguments.model is not None:
        if not (arguments.model / "config.json").is_file():
            parser.error(f"--model: {arguments.model} is not a model folder: it has no config.json")
        sys.exit(check(arguments, arguments.model.resolve()))
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(ROOT))
        from testing.models.tiny_llm import make_tiny_model

        make_tiny_model(Path(folder))
        sys.exit(check(arguments, Path(folder) / "model"))


if __name__ == "__main__":
    main()
