"""The conformance suite of the language model against the engine `gguf` with a random model.

Random weights know nothing, so test_llm_knowledge.py is not run with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from testing.models.tiny_gguf import make_tiny_gguf
from tests.contract.conftest import own_channel
from tests.contract.test_llm import *  # noqa: F403 (the whole suite)
from tests.contract.test_llm import llm
from tests.contract.test_llm_interrupt import *  # noqa: F403
from tests.contract.test_llm_prefill import *  # noqa: F403


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm_channel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a stage of ours with the engine."""
    model: Path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    make_tiny_gguf(model)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ANIMA_LLM_MODEL", str(model))
        environment.setenv("ANIMA_LLM_TEMPERATURE", "0")
        environment.setenv("ANIMA_LLM_MAX_TOKENS", "48")
        async with own_channel("llm", engine="gguf") as channel:
            yield channel


__all__ = ["llm"]
