"""The WebSocket with generated events, texts and binary messages."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.fuzz.conftest import Fuzzed
from tests.fuzz.events import Kind, Sent, connections, types
from tests.fuzz.rounds import FIXED_SEED, one_round, seeds

# The first test also waits for the mesh.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

HANG_S = 60.0
AGREED = frozenset({1000, 1002, 1003, 1007, 1008, 1009, 1013, 4401})
"""The codes with which a server may close: never 1006, without a word, nor 1011, a fault."""
ALIVE = "alive"
Seen = Counter[str]


async def converse(fuzzed: Fuzzed, sent: list[Sent]) -> str:
    """Sends messages; returns how the connection fared.

    Raises:
        AssertionError: The connection hangs or ends in a way that was not agreed.
    """
    url = f"ws://{fuzzed.mesh.http_address}/v1/realtime"
    async with websockets.connect(url, max_size=None, open_timeout=HANG_S) as page:
        reading = asyncio.create_task(_until_alive(page))
        try:
            for message in sent:
                await _send(page, message)
            await page.send(json.dumps({"type": "nothing", "event_id": ALIVE}))
        except websockets.ConnectionClosed:
            pass
        try:
            async with asyncio.timeout(HANG_S):
                fate = await reading
        except TimeoutError:
            raise AssertionError(f"no answer to {sent}") from None
    if fate != ALIVE and not any(map(_ends_at_once, sent)):
        assert page.close_code in AGREED, f"{page.close_code} {page.close_reason}: {sent}"
    return f"closed {page.close_code}" if fate != ALIVE else fate


def _ends_at_once(message: Sent) -> bool:
    """Returns whether a message breaks the protocol, so that the server reads no further.

    What the client has sent meanwhile then resets the connection, and the close code is lost.
    """
    try:
        message.data.decode()
    except UnicodeDecodeError:
        return message.kind is not Kind.BINARY
    return False


async def _send(page: ClientConnection, message: Sent) -> None:
    if message.kind is Kind.BINARY:
        await page.send(message.data)
    elif message.kind is Kind.TEXT:
        await page.send(message.data, text=True)
    else:
        half = len(message.data) // 2
        await page.send([message.data[:half], message.data[half:]], text=True)


async def _until_alive(page: ClientConnection) -> str:
    """Reads until the last event is answered or the connection ends."""
    with suppress(websockets.ConnectionClosed):
        while True:
            message = await page.recv()
            if isinstance(message, str):
                event: dict[str, Any] = json.loads(message)
                error = event.get("error", {}) if event["type"] == "error" else {}
                if error.get("event_id") == ALIVE:
                    return ALIVE
    return "closed"


def together(fuzzed: Fuzzed, clients: list[list[Sent]], seen: Seen) -> None:
    async def made() -> list[str]:
        return await asyncio.gather(*(converse(fuzzed, sent) for sent in clients))

    seen.update(fuzzed.runner.run(made()))


def test_events(fuzzed: Fuzzed) -> None:
    assert {"session.update", "response.create", "anima.playback"} <= set(types())
    seen: Seen = Counter()
    one_round(
        lambda clients: together(fuzzed, clients, seen),
        connections(),
        examples=15,
        number=FIXED_SEED,
    )
    assert seen[ALIVE] > 0
    assert fuzzed.watch.faults() == []


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_events_for_minutes(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    for number in seeds(share=0.2):
        one_round(
            lambda clients: together(fuzzed, clients, seen),
            connections(),
            examples=40,
            number=number,
        )
        assert fuzzed.watch.faults() == [], f"seed {number}"
    assert seen[ALIVE] > 0
