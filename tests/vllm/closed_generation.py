"""Answers one question with a local engine: `python -m tests.vllm.closed_generation FOLDER ENGINE`.

Run in a closed network by test_nothing_leaves.py.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.contract.test_llm import ask, config, stub
from tests.vllm.conftest import LOCAL, channel_to, served, settings_for


async def main(folder: Path, engine: str) -> None:
    """Starts the stage with the engine and reads an answer to its end."""
    options = LOCAL | {"model": str(folder / "model"), "adapters_dir": str(folder / "adapters")}
    async with (
        served(settings_for(engine, folder / "personas", options)) as stage,
        channel_to(stage) as channel,
    ):
        answer = await ask(stub(channel), config("What can you do?"))
        assert answer.deltas


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
