"""Every gRPC method, called as every role, for the caller itself and for somebody else.

The servers are real ones on loopback; their handlers only note what reaches them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]

from gateway.stages.spec import GATEWAY_SERVICE, STAGES
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import error_from_rpc
from services.runtime.identity.authorisation import RPCS
from services.runtime.identity.caller import caller
from services.runtime.limits.progress import StreamLimits, same_limits
from services.runtime.server import Stage, serving
from tests.unit.identity.tokens import key_file, token

SERVICES = (GATEWAY_SERVICE, *(f"{spec.api}.{spec.service}" for spec in STAGES.values()))
OK = "OK"
ROLE, YOURS, TOKEN = "ROLE_MISSING", "NOT_YOURS", "TOKEN_MISSING"
WHO = ("nobody", "person", "operator", "service")

# What each caller gets, for a request that names nobody, the caller itself, and somebody else.
OPEN = dict.fromkeys(WHO, OK)
ALL = {"nobody": TOKEN, "person": OK, "operator": OK, "service": OK}
STAGE = {"nobody": TOKEN, "person": ROLE, "operator": ROLE, "service": OK}
OWN = {
    "nobody": (TOKEN, TOKEN, TOKEN),
    "person": (OK, OK, YOURS),
    "operator": (ROLE, ROLE, ROLE),
    "service": (OK, OK, OK),
}
OWNER = OWN | {"operator": (OK, OK, YOURS)}
# Here the last is the persona's.
KNOWLEDGE = {
    "nobody": (TOKEN, TOKEN, TOKEN, TOKEN),
    "person": (OK, OK, YOURS, ROLE),
    "operator": (ROLE, ROLE, ROLE, OK),
    "service": (OK, OK, OK, OK),
}

EXPECTED: dict[str, tuple[dict[str, Any], str]] = {
    "anima.gateway.v1.GatewayService/Converse": (OWN, "config.user_id"),
    "anima.gateway.v1.GatewayService/DescribeMesh": (ALL, ""),
    "anima.asr.v1.AsrService/Recognize": (STAGE, ""),
    "anima.asr.v1.AsrService/DescribeEngine": (ALL, ""),
    "anima.tts.v1.TtsService/Synthesize": (STAGE, ""),
    "anima.tts.v1.TtsService/ListVoices": (ALL, ""),
    "anima.tts.v1.TtsService/DescribeEngine": (ALL, ""),
    "anima.llm.v1.LlmService/Generate": (STAGE, ""),
    "anima.llm.v1.LlmService/Prefill": (STAGE, ""),
    "anima.llm.v1.LlmService/ListPersonas": (ALL, ""),
    "anima.llm.v1.LlmService/DescribeEngine": (ALL, ""),
    "anima.avatar.v1.AvatarService/Render": (STAGE, ""),
    "anima.avatar.v1.AvatarService/GetIdleLoop": (STAGE, ""),
    "anima.avatar.v1.AvatarService/ListAvatars": (OWNER, "user_id"),
    "anima.avatar.v1.AvatarService/CreateAvatar": (OWNER, "config.user_id"),
    "anima.avatar.v1.AvatarService/DeleteAvatar": (OWNER, "user_id"),
    "anima.avatar.v1.AvatarService/DescribeEngine": (ALL, ""),
    "anima.memory.v1.MemoryService/Remember": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Recall": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/List": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Forget": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Export": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Import": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Pin": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/Correct": (OWN, "user_id"),
    "anima.memory.v1.MemoryService/AddDocument": (KNOWLEDGE, "config.owner.user_id"),
    "anima.memory.v1.MemoryService/ListDocuments": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/GetDocument": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/RemoveDocument": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/PutPassages": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/GetPassages": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/RemovePassages": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/SearchKnowledge": (KNOWLEDGE, "owner.user_id"),
    "anima.memory.v1.MemoryService/DescribeEngine": (ALL, ""),
    "grpc.health.v1.Health/Check": (OPEN, ""),
    "grpc.health.v1.Health/List": (dict.fromkeys(WHO, "UNIMPLEMENTED"), ""),
    "grpc.health.v1.Health/Watch": (OPEN, ""),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": (ALL, ""),
}


def descriptor(service: str) -> ServiceDescriptor:
    package, _, name = service.rpartition(".")
    stem = package.split(".")[1]
    found: ServiceDescriptor = import_module(f"{package}.{stem}_pb2").DESCRIPTOR.services_by_name[
        name
    ]
    return found


def methods() -> Iterator[MethodDescriptor]:
    for service in SERVICES:
        yield from descriptor(service).methods
    yield from health_pb2.DESCRIPTOR.services_by_name["Health"].methods
    yield from reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].methods


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


METHODS = {name_of(method): method for method in methods()}


def test_every_method_has_a_row_and_an_expectation() -> None:
    assert METHODS.keys() - RPCS.keys() == set()
    assert METHODS.keys() == EXPECTED.keys()
    # The second version of reflection is a name that the library may register one day.
    assert RPCS.keys() - METHODS.keys() == {
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    }


@dataclass
class Noting:
    """The handlers of a service; they note the requests and answer with an empty message."""

    service: ServiceDescriptor
    seen: list[tuple[str, Any]] = field(default_factory=list)

    def add_to(self, server: grpc.aio.Server) -> None:
        handlers = {method.name: self._handler(method) for method in self.service.methods}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(self.service.full_name, handlers),)
        )

    def _handler(self, method: MethodDescriptor) -> Any:
        answer = GetMessageClass(method.output_type)()

        async def one(request: Any, context: Any) -> Any:
            await self._note(method, request)
            return answer

        async def several(request: Any, context: Any) -> AsyncIterator[Any]:
            await self._note(method, request)
            yield answer

        incoming, outgoing = (
            "stream" if flag else "unary"
            for flag in (method.client_streaming, method.server_streaming)
        )
        make = getattr(grpc, f"{incoming}_{outgoing}_rpc_method_handler")
        return make(
            several if method.server_streaming else one,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )

    async def _note(self, method: MethodDescriptor, request: Any) -> None:
        requests = [each async for each in request] if method.client_streaming else [request]
        self.seen.extend((caller().key, each) for each in requests)


@dataclass
class Servers:
    """A server of each service of Anima, which checks signed tokens."""

    noted: dict[str, Noting]
    addresses: dict[str, str]


async def nothing() -> None:
    return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    keys = key_file(tmp_path_factory.mktemp("keys"))
    noted = {service: Noting(descriptor(service)) for service in SERVICES}
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for service, noting in noted.items():
            settings = ServiceSettings(listen="127.0.0.1:0", identity_keys_file=keys)
            stage = Stage(
                service=service,
                add_to_server=noting.add_to,
                warm_up=nothing,
                counted_methods=frozenset(),
                limits=same_limits(service, StreamLimits()),
                close=nothing,
            )
            server = await stack.enter_async_context(serving(stage, settings))
            await server.ready
            addresses[service] = server.address
        yield Servers(noted, addresses)


def request_for(method: MethodDescriptor, path: str, user: str) -> Any:
    request: Any = GetMessageClass(method.input_type)()
    inner: Any = request
    *groups, last = path.split(".")
    for group in groups:
        inner = getattr(inner, group)
        inner.SetInParent()
    if user == "the persona":
        inner.persona = user.replace(" ", "-")
    elif last:
        setattr(inner, last, user)
    return request


def user_in(request: Any, path: str) -> str:
    for step in path.split("."):
        request = getattr(request, step)
    return str(request)


def multicallable(channel: Any, method: MethodDescriptor) -> Any:
    incoming, outgoing = (
        "stream" if flag else "unary" for flag in (method.client_streaming, method.server_streaming)
    )
    return getattr(channel, f"{incoming}_{outgoing}")(
        f"/{name_of(method)}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )


async def call(address: str, method: MethodDescriptor, requests: list[Any], given: str) -> str:
    """Returns "OK", or the reason of the refusal."""
    async with open_channel(address, token=given or None) as channel:
        while True:
            incoming = iter(requests) if method.client_streaming else requests[0]
            calling = multicallable(channel, method)(incoming)
            try:
                if method.server_streaming:
                    await anext(aiter(calling), None)
                else:
                    await calling
            except grpc.aio.AioRpcError as error:
                # What grpc.aio reports if it was still writing when the call was refused.
                if error.details() != "Internal error from Core":
                    return error_from_rpc(error).reason
            else:
                return OK
            finally:
                calling.cancel()


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.asyncio(loop_scope="module")
async def test_who_may_call_it(servers: Servers, name: str) -> None:
    method, (expected, path) = METHODS[name], EXPECTED[name]
    service = method.containing_service.full_name
    service = service if service in servers.noted else GATEWAY_SERVICE
    noting = servers.noted[service]
    for who in WHO:
        outcomes = expected[who]
        users = ("", "ada", "bob", "the persona")
        for outcome, user in zip(
            outcomes if isinstance(outcomes, tuple) else (outcomes,), users, strict=False
        ):
            noting.seen.clear()
            request = request_for(method, path, user if path else "")
            given = token("ada", who) if who != "nobody" else ""
            called = await call(servers.addresses[service], method, [request], given)
            assert called == outcome, (who, user)
            if outcome != OK or not method.containing_service.full_name.startswith("anima."):
                assert not noting.seen
                continue
            ((key, arrived),) = noting.seen
            assert key == ("service:ada" if who == "service" else "user:ada")
            if path and user != "the persona":
                filled = who == "person"
                assert user_in(arrived, path) == ("ada" if filled else user)


@pytest.mark.asyncio(loop_scope="module")
async def test_later_messages_of_a_stream_are_restricted_too(servers: Servers) -> None:
    service = "anima.memory.v1.MemoryService"
    method = METHODS[f"{service}/Import"]
    requests = [request_for(method, "user_id", user) for user in ("ada", "", "bob")]
    given = token("ada", "person")
    assert await call(servers.addresses[service], method, requests, given) == YOURS


@pytest.mark.parametrize("settings", ["open", "shared"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_method_without_a_row_is_refused_to_everybody(
    settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.runtime.calls import interceptor

    name = "anima.memory.v1.MemoryService/List"
    rows = {other: row for other, row in RPCS.items() if other != name}
    monkeypatch.setattr(interceptor, "RPCS", rows)
    noting = Noting(descriptor("anima.memory.v1.MemoryService"))
    stage = Stage(
        service="anima.memory.v1.MemoryService",
        add_to_server=noting.add_to,
        warm_up=nothing,
        counted_methods=frozenset(),
        limits=same_limits("anima.memory.v1.MemoryService", StreamLimits()),
        close=nothing,
    )
    shared = "secret" if settings == "shared" else ""
    async with serving(
        stage, ServiceSettings(listen="127.0.0.1:0", token=shared or None)
    ) as server:
        await server.ready
        request = request_for(METHODS[name], "user_id", "ada")
        called = await call(server.address, METHODS[name], [request], shared)
    assert called == "NO_PERMISSION"
    assert not noting.seen


@pytest.mark.asyncio(loop_scope="module")
async def test_the_end_of_a_token_has_its_own_reason(servers: Servers) -> None:
    service = "anima.memory.v1.MemoryService"
    method = METHODS[f"{service}/List"]
    request = request_for(method, "user_id", "ada")
    old = token("ada", lifetime_s=-100)
    assert await call(servers.addresses[service], method, [request], old) == "TOKEN_EXPIRED"
