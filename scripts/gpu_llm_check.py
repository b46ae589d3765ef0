"""Checks and measures the engine `vllm` with a real model, on a machine with a GPU.

    python scripts/gpu_llm_check.py --model FOLDER [--adapters FOLDER] [--skip-tests]

It needs `pip install anima[vllm]` and the tests' `pytest pytest-asyncio`. The conformance suite of
the stage runs against it, what an answer must know included, then the benchmark against the bare
engine. With `--adapters` a subfolder's name can be tried by a persona that names it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 900.0


def describe_machine() -> None:
    """Prints what the figures were taken on."""
    import torch
    import vllm

    print(f"Python {platform.python_version()}, torch {torch.__version__}, vLLM {vllm.__version__}")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        print(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    else:
        print("no GPU: these are figures of the CPU")


def run_tests(environment: dict[str, str]) -> int:
    """Starts the stage as users do and runs the conformance suite against it."""
    from services.llm.settings import LlmSettings

    address = f"127.0.0.1:{LlmSettings.default_port}"
    stage = subprocess.Popen([sys.executable, "-m", "services.llm"], cwd=ROOT, env=environment)
    try:
        asyncio.run(_ready(address, stage))
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--timeout", "300"),
                *("tests/contract/test_llm.py", "tests/contract/test_llm_knowledge.py"),
                *("--llm-address", address),
            ],
            cwd=ROOT,
            check=False,
        ).returncode
    finally:
        stage.terminate()
        stage.wait(60)


async def _ready(address: str, stage: subprocess.Popen[bytes]) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    from services.llm.servicer import SERVICE
    from services.runtime.channels import open_channel

    request = health_pb2.HealthCheckRequest(service=SERVICE)
    async with asyncio.timeout(START_TIMEOUT_S), open_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
        async for seen in watch:
            if seen.status == health_pb2.HealthCheckResponse.SERVING:
                return
            if stage.poll() is not None:
                raise SystemExit(f"the stage ended with {stage.returncode}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a folder in HF format")
    parser.add_argument("--adapters", type=Path, help="a folder of LoRA adapters")
    parser.add_argument("--skip-tests", action="store_true")
    arguments = parser.parse_args()
    describe_machine()
    environment = os.environ | {
        "ANIMA_LLM_ENGINE": "vllm",
        "ANIMA_LLM_MODEL": str(arguments.model.resolve()),
        "ANIMA_LLM_TEMPERATURE": "0",
        "ANIMA_LLM_SEED": "0",
    }
    if arguments.adapters:
        environment["ANIMA_LLM_ADAPTERS_DIR"] = str(arguments.adapters.resolve())
    failed = 0 if arguments.skip_tests else run_tests(environment)
    bench = [sys.executable, "-m", "bench.llm", "--model", str(arguments.model.resolve())]
    measured = subprocess.run(bench, cwd=ROOT, check=False).returncode
    sys.exit(failed or measured)


if __name__ == "__main__":
    main()
