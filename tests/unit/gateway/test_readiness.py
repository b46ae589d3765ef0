"""Readiness of a gateway, and its knowledge of the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

import anima.llm.v1 as llm
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.grpc.servicer import build
from gateway.stages.mesh import Mesh
from gateway.stages.spec import GATEWAY_SERVICE, STAGES
from services.runtime.errors import AnimaError, Unavailable
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import FakeLlm
from tests.unit.gateway.test_rest import site

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def readiness(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    response = await client.get("/readyz")
    return response.status_code, response.json()


async def until_down(mesh: Mesh, *stages: str) -> None:
    await mesh.states.until(lambda: mesh.states.problems().keys() == set(stages))


def up(stage: str) -> float | None:
    return REGISTRY.get_sample_value("anima_gateway_stage_up", {"stage": stage})


async def test_a_gateway_with_all_stages_is_ready() -> None:
    async with site() as (_, mesh, client):
        await until_down(mesh)
        assert (await client.get("/healthz")).text == "ok"
        assert await readiness(client) == (200, {"ready": True, "reason": "", "problems": {}})
        assert [up(stage) for stage in STAGES] == [1.0] * len(STAGES)


@pytest.mark.parametrize("stage", ["llm", "tts"])
async def test_a_gateway_is_not_ready_before_it_has_seen_what_an_answer_needs(stage: str) -> None:
    async with FakeMesh() as fake:
        await fake.stop(stage)
        async with site(fake) as (_, mesh, client):
            await until_down(mesh, stage)
            status, body = await readiness(client)
            assert (status, body["ready"]) == (503, False)
            assert body["reason"] == f"not seen since startup: {stage}"
            assert (await client.get("/healthz")).status_code == 200, "it lives"
            assert up(stage) == 0.0
            await fake.start(stage)
            await until_down(mesh)
            assert (await readiness(client))[0] == 200
            assert up(stage) == 1.0


@pytest.mark.parametrize("stage", ["asr", "memory", "avatar"])
async def test_a_gateway_is_ready_without_what_an_answer_can_do_without(stage: str) -> None:
    async with FakeMesh() as fake:
        await fake.stop(stage)
        async with site(fake) as (_, mesh, client):
            await until_down(mesh, stage)
            status, body = await readiness(client)
            assert (status, body["ready"]) == (200, True)
            assert list(body["problems"]) == [stage]


async def test_a_stage_that_is_lost_later_only_degrades() -> None:
    async with site() as (fake, mesh, client):
        await until_down(mesh)
        for stage in ("llm", "tts"):
            await fake.stop(stage)
        await until_down(mesh, "llm", "tts")
        status, body = await readiness(client)
        assert (status, body["ready"]) == (200, True)
        assert body["problems"].keys() == {"llm", "tts"}
        assert (up("llm"), up("asr")) == (0.0, 1.0)
        stages = (await client.get("/v1/mesh")).json()["stages"]
        assert [each["stage"] for each in stages if not each["ready"]] == ["llm", "tts"]
        assert all(each["problem"] for each in stages if not each["ready"])
        for stage in ("llm", "tts"):
            await fake.start(stage)
        await until_down(mesh)
        assert (await readiness(client))[1]["problems"] == {}
        assert up("llm") == 1.0


async def test_a_gateway_that_is_going_away_is_not_ready() -> None:
    async with site() as (_, mesh, client):
        await until_down(mesh)
        mesh.drain.begin()
        status, body = await readiness(client)
        assert (status, body["reason"]) == (503, "the gateway is going away")


async def test_a_full_gateway_stays_ready() -> None:
    async with site(capacity=1) as (_, mesh, client):
        await until_down(mesh)
        with mesh.places.place():
            assert (await readiness(client))[0] == 200


@dataclass(kw_only=True)
class CountingLlm(FakeLlm):
    """Counts requests to describe itself, and may refuse."""

    asked: int = 0
    error: AnimaError | None = None

    async def DescribeEngine(  # noqa: N802
        self, request: Any, context: Any
    ) -> llm.DescribeEngineResponse:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await super().DescribeEngine(request, context)


async def test_probes_ask_no_stage() -> None:
    async with FakeMesh() as fake:
        await fake.stop("llm")
        fake.llm = model = CountingLlm()
        await fake.start("llm")
        async with site(fake) as (_, mesh, client):
            await until_down(mesh)
            for _ in range(30):
                await client.get("/readyz")
                await client.get("/healthz")
            # Once at the start, and once more when its connection was up.
            assert 0 < model.asked <= 3


async def test_a_stage_that_answers_with_an_error_is_down() -> None:
    async with FakeMesh() as fake:
        await fake.stop("llm")
        fake.llm = CountingLlm(error=Unavailable("the model is loading"))
        await fake.start("llm")
        async with site(fake) as (_, mesh, client):
            await until_down(mesh, "llm")
            assert (await readiness(client))[1]["problems"] == {"llm": "the model is loading"}


async def test_health_over_grpc_follows_the_same_rule() -> None:
    async with FakeMesh() as fake:
        await fake.stop("llm")
        settings = fake.settings()
        async with (
            serving(build(settings), settings) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            request = health_pb2.HealthCheckRequest(service=GATEWAY_SERVICE)
            watch = health_pb2_grpc.HealthStub(channel).Watch(request)
            assert (await watch.read()).status == NOT_SERVING
            method: Any = channel.unary_unary(
                f"/{GATEWAY_SERVICE}/DescribeMesh",
                request_serializer=pb.DescribeMeshRequest.SerializeToString,
                response_deserializer=pb.DescribeMeshResponse.FromString,
            )
            while True:
                try:
                    described = await method(pb.DescribeMeshRequest())
                    break
                except grpc.aio.AioRpcError as error:  # it is still warming up
                    assert error.code() == grpc.StatusCode.UNAVAILABLE  # noqa: PT017
            assert [each.stage for each in described.stages if not each.ready] == ["llm"]
            await fake.start("llm")
            assert (await watch.read()).status == SERVING
            await server.ready
            await fake.stop("llm")
            described = await method(pb.DescribeMeshRequest())
            check = health_pb2_grpc.HealthStub(channel).Check(request)
            assert (await check).status == SERVING
            watch.cancel()
