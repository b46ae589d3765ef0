"""Memory services in separate processes."""

import asyncio
import json


async def address_of(process: asyncio.subprocess.Process) -> tuple[str, "asyncio.Task[bytes]"]:
    """Waits until a service is ready.

    Returns:
        Its address, and the task that reads on in its log: a full pipe would stop it.
    """
    assert process.stderr is not None
    said = []
    async for line in process.stderr:
        said.append(line.decode())
        entry = json.loads(line) if line.startswith(b"{") else {}
        if entry.get("event") == "ready":
            return str(entry["address"]), asyncio.create_task(process.stderr.read())
    raise AssertionError(f"the service ended before it was ready: {''.join(said)}")
