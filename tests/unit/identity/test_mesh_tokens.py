"""The gateway calls the stages as a service; people reach them only as themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from anima.gateway.v1 import GatewayServiceStub
from anima.gateway.v1 import gateway_pb2 as pb
from anima.memory.v1 import MemoryServiceStub, RecallRequest
from gateway.stages.mesh import Mesh
from services.runtime.config.settings import SettingsError
from services.runtime.errors import PermissionDenied, error_from_rpc
from tests.unit.identity.mesh import calling, identity_mesh, identity_settings
from tests.unit.identity.tokens import token


async def answer(stub: Any, user_id: str) -> list[str]:
    """Asks one question; returns the kinds of the events."""
    config = pb.ConverseConfig(user_id=user_id, text_only=True)
    call = stub.Converse()
    await call.write(pb.ConverseRequest(config=config))
    kinds = []
    async for event in call:
        kinds.append(event.WhichOneof("event"))
        if kinds[-1] == "session_started":
            await call.write(pb.ConverseRequest(text=pb.TextInput(text="Who am I?")))
        if kinds[-1] == "turn_ended":
            break
    call.cancel()
    return kinds


@pytest.mark.parametrize("user_id", ["", "ada"])
async def test_the_user_of_a_conversation_comes_from_the_token(
    tmp_path: Path, user_id: str
) -> None:
    async with (
        identity_mesh(tmp_path) as fake,
        fake.gateway(**identity_settings(tmp_path)) as gateway,
        calling(gateway.address, token("ada"), GatewayServiceStub) as ada,
    ):
        assert (await answer(ada, user_id))[-1] == "turn_ended"
        assert [each.user_id for each in fake.memory.requests] == ["ada"]
        assert (await fake.memory.remembered.get()).user_id == "ada"

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer(ada, "bob")
        error = error_from_rpc(caught.value)
        assert isinstance(error, PermissionDenied)
        assert error.reason == "NOT_YOURS"


async def test_a_conversation_ends_with_its_token(tmp_path: Path) -> None:
    async with (
        identity_mesh(tmp_path) as fake,
        fake.gateway(**identity_settings(tmp_path)) as gateway,
        # Accepted for two seconds more, as the clocks of issuer and server may differ by 30 s.
        calling(gateway.address, token("ada", lifetime_s=-28), GatewayServiceStub) as ada,
    ):
        call = ada.Converse()
        await call.write(pb.ConverseRequest(config=pb.ConverseConfig(text_only=True)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert error_from_rpc(caught.value).reason == "TOKEN_EXPIRED"


async def test_a_trusted_program_names_its_users(tmp_path: Path) -> None:
    async with (
        identity_mesh(tmp_path) as fake,
        fake.gateway(**identity_settings(tmp_path)) as gateway,
        calling(gateway.address, token("site", "service"), GatewayServiceStub) as site,
    ):
        await answer(site, "bob")
        assert [each.user_id for each in fake.memory.requests] == ["bob"]


async def test_a_person_reaches_a_stage_only_as_itself(tmp_path: Path) -> None:
    async with (
        identity_mesh(tmp_path) as fake,
        calling(fake.addresses["memory"], token("ada"), MemoryServiceStub) as stub,
    ):
        await stub.Recall(RecallRequest(query="x"))
        await stub.Recall(RecallRequest(query="x", user_id="ada"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Recall(RecallRequest(query="x", user_id="bob"))
        assert error_from_rpc(caught.value).reason == "NOT_YOURS"
        assert [each.user_id for each in fake.memory.requests] == ["ada", "ada"]


async def test_a_gateway_without_a_token_for_the_stages_does_not_start(tmp_path: Path) -> None:
    async with identity_mesh(tmp_path) as fake:
        settings = identity_settings(tmp_path)
        del settings["identity_signing_key_file"]
        with pytest.raises(SettingsError, match="ANIMA_IDENTITY_SIGNING_KEY_FILE"):
            Mesh(fake.settings(**settings))
        Mesh(fake.settings(**settings, stage_token=token("gateway", "service")))
