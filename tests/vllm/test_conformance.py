"""The conformance suite of the stage against each engine with a real model behind it.

Random weights know nothing, so tests/contract/test_llm_knowledge.py is not run here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from tests.contract.test_llm import *  # noqa: F403 (the whole suite)
from tests.contract.test_llm import llm
from tests.contract.test_llm_interrupt import *  # noqa: F403
from tests.contract.test_llm_prefill import *  # noqa: F403
from tests.vllm.conftest import Served, channel_to


@pytest.fixture(params=["vllm", "openai", "transformers"], scope="session")
def stage(request: pytest.FixtureRequest) -> Served:
    served: Served = request.getfixturevalue(f"{request.param}_stage")
    return served


@pytest_asyncio.fixture(loop_scope="session")
async def llm_channel(stage: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with channel_to(stage) as channel:
        yield channel


__all__ = ["llm"]
