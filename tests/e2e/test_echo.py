"""A face that hears itself through a loudspeaker does not interrupt itself."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway import v1 as gateway
from services.runtime.process.tasks import beside
from testing.speech.room import Room
from tests.e2e.conversation import Conversation, conversation
from tests.e2e.loud_client import RATE_HZ, LoudClient
from tests.mesh_process import MeshProcess
from tests.speech import card_commands

CONFIG = gateway.ConverseConfig(audio_only=True, language="en", input_sample_rate_hz=RATE_HZ)


def loud_client(session: Conversation, *, delay_s: float, level_db: float) -> LoudClient:
    room = Room(rate_hz=RATE_HZ, delay_s=delay_s, level_db=level_db)
    rate_hz = session.events[0].session_started.sample_rate_hz
    return LoudClient(session, played_hz=rate_hz, room=room)


async def answer(
    session: Conversation, client: LoudClient, *, speaks: bool = False
) -> gateway.ConverseResponse:
    """Asks for a long answer and returns its last event; a person may speak into it."""
    await session.ask("How are you built?")
    heard = 0

    def take(event: gateway.ConverseResponse) -> bool:
        nonlocal heard, speaks
        client.take(event)
        kind = event.WhichOneof("event")
        heard += kind == "media"
        if speaks and heard == 12:
            speaks = False
            client.say(card_commands()[0].samples)
        return kind == "turn_ended"

    return await session.until(take)


CASES = [(0.12, -10.0), (0.12, -30.0), (0.12, -45.0), (0.4, -10.0)]


async def hears_the_end(address: str, delay_s: float, level_db: float) -> None:
    async with conversation(address, CONFIG) as session:
        client = loud_client(session, delay_s=delay_s, level_db=level_db)
        async with asyncio.timeout(120), beside(client.run(), name="client"):
            ended = (await answer(session, client)).turn_ended
    kinds = [event.WhichOneof("event") for event in session.events]
    case = f"{delay_s} s, {level_db} dB"
    assert ended.reason == common.END_REASON_COMPLETE, case
    # Until the echo is found, which takes half a second, its sound may hold the answer once.
    assert kinds.count("turn_paused") <= 1, case
    assert not [each for each in session.events if each.user_transcript.text], case


@pytest.mark.long  # four clients in real time: on a busy machine they stall, and hear other delays
async def test_an_answer_is_heard_to_its_end(shared_mesh: MeshProcess) -> None:
    address = shared_mesh.gateway_address
    await asyncio.gather(*(hears_the_end(address, *case) for case in CASES))


async def test_a_person_still_interrupts(shared_mesh: MeshProcess) -> None:
    async with conversation(shared_mesh.gateway_address, CONFIG) as session:
        client = loud_client(session, delay_s=0.12, level_db=-20.0)
        async with asyncio.timeout(120), beside(client.run(), name="client"):
            ended = (await answer(session, client, speaks=True)).turn_ended
    assert ended.reason == common.END_REASON_INTERRUPTED
