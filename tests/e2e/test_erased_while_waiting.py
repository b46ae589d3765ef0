"""A turn that waits in the gateway does not bring back a user who was erased in the memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

from anima.memory.v1 import memory_pb2 as memory
from anima.memory.v1 import memory_pb2_grpc
from gateway.remember_queue.queue import RememberQueue
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.errors import Unavailable
from services.runtime.server import serving
from testing.fakes.direct import rpc_error


def turn(number: int) -> memory.RememberRequest:
    items = [memory.Item(item_id=f"turn-{number}", text=f"What was said in turn {number}")]
    return memory.RememberRequest(user_id="ada", items=items)


async def test_user_who_was_erased_does_not_come_back_from_the_queue(tmp_path: Path) -> None:
    settings = MemorySettings(
        listen="127.0.0.1:0", data_dir=tmp_path, embedding_model="none", facts=False
    )
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            stub = cast(Any, memory_pb2_grpc.MemoryServiceStub(channel))
            erase_next = True

            async def send(request: memory.RememberRequest, *, timeout: float) -> None:  # noqa: ASYNC109
                nonlocal erase_next
                if request.items[0].item_id == "turn-1" and erase_next:
                    # The memory stores the turn, its answer is lost, and then the user is erased.
                    erase_next = False
                    await stub.Remember(request, timeout=timeout)
                    # A request says how long it has waited, and the memory counts back from its
                    # arrival. So it cannot tell apart what is closer than a request takes.
                    await asyncio.sleep(max(0.0, added_s + 2 - time.monotonic()))
                    await stub.Forget(memory.ForgetRequest(user_id="ada", everything=True))
                    raise rpc_error(Unavailable("the answer is lost"))
                await stub.Remember(request, timeout=timeout)

            queue = RememberQueue(send, max_turns=100, max_bytes=1 << 20)
            queue.start(tmp_path / "gateway", None)
            added_s = time.monotonic()
            for number in (0, 1, 2):
                queue.add(turn(number))
            await queue.close(timeout_s=30)
            assert not erase_next
            listed = await stub.List(memory.ListRequest(user_id="ada"))
            assert [item.item_id for item in listed.items] == []

            queue = RememberQueue(stub.Remember, max_turns=100, max_bytes=1 << 20)
            queue.start(tmp_path / "gateway", None)
            queue.add(turn(3))
            await queue.close(timeout_s=30)
            listed = await stub.List(memory.ListRequest(user_id="ada"))
            assert [item.item_id for item in listed.items] == ["turn-3"]
