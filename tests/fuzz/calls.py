"""Generated gRPC calls: what is sent, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from gateway.stages.spec import GATEWAY, GATEWAY_SERVICE, STAGES
from tests.fuzz.messages import messages, messages_with

HANG_S: Final = 60.0
"""A server that owes an answer must not be silent for this long."""
_QUIET_S: Final = 0.2
_LONG_ENOUGH_S: Final = 2.0
_MOST_RESPONSES: Final = 100
_GAP_S: Final = 0.02
_FAULTS: Final = frozenset(
    {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
)
_CUT_WHILE_WRITING: Final = "Internal error from Core"
"""How grpc.aio reports a status to a client that is still writing; no handler has failed."""
_ENDLESS: Final = frozenset({"grpc.health.v1.Health.Watch"})
_METADATA: Final = (
    ("authorization", ""),
    ("authorization", "Bearer x"),
    ("authorization", "Basic " + "a" * 500),
    ("anima-user-id", "fuzz"),
    ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"),
    ("traceparent", "x" * 2_000),
    ("baggage", "a=b," * 300),
    ("x-fuzz-bin", b"\xff\x00\xfe"),
)


class Ending(enum.Enum):
    """How a client ends its stream of requests."""

    CLOSED = "closed"
    OPEN = "left open until nothing arrives, then cancelled"
    DROPPED = "cancelled after the first response"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        method: The method.
        requests: The messages, as bytes on the wire.
        ending: How the requests end.
        slow: Whether there is a pause between the requests.
        metadata: The metadata.
    """

    method: MethodDescriptor
    requests: tuple[bytes, ...]
    ending: Ending
    slow: bool
    metadata: tuple[tuple[str, str | bytes], ...]

    def __repr__(self) -> str:
        sent = ", ".join(repr(each[:200]) for each in self.requests)
        return f"{self.method.full_name}([{sent}], {self.ending.value}, {self.slow=})"


def services() -> Iterator[tuple[str, ServiceDescriptor]]:
    """Yields each stage, "gateway" included, with each of its services, in the contract's order."""
    apis = {GATEWAY: GATEWAY_SERVICE.rpartition(".")[0]}
    apis |= {name: spec.api for name, spec in STAGES.items()}
    for stage, api in apis.items():
        descriptor = import_module(f"{api}.{stage}_pb2").DESCRIPTOR
        for service in descriptor.services_by_name.values():
            yield stage, service
        for general in (health_pb2, reflection_pb2):
            yield stage, next(iter(general.DESCRIPTOR.services_by_name.values()))


def methods() -> list[tuple[str, MethodDescriptor]]:
    """Returns each stage with each method that it serves."""
    return [(stage, method) for stage, service in services() for method in service.methods]


@st.composite
def calls(draw: DrawFn, method: MethodDescriptor) -> Call:
    """Draws a call of a method."""
    if method.client_streaming:
        sent = draw(_streams(method))
    else:
        sent = [draw(messages(method.input_type))]
    broken = draw(st.integers(0, 7)) == 0
    wire = tuple(draw(_wire(message, broken)) for message in sent)
    return Call(
        method=method,
        requests=wire,
        ending=draw(st.sampled_from((Ending.CLOSED, *Ending))),
        slow=draw(st.integers(0, 4)) == 0,
        metadata=tuple(draw(st.lists(st.sampled_from(_METADATA), max_size=1))),
    )


@st.composite
def _streams(draw: DrawFn, method: MethodDescriptor) -> list[Message]:
    """Draws the messages of a stream: mostly the config first, sometimes in the wrong order."""
    descriptor = method.input_type
    sent: list[Message] = []
    if "config" in descriptor.fields_by_name and draw(st.integers(0, 3)) > 0:
        sent.append(draw(messages_with(descriptor, "config")))
    fields = [field.name for field in descriptor.fields]
    following = [name for name in fields if name != "config" or draw(st.integers(0, 7)) == 0]
    for _ in range(draw(st.sampled_from((0, 1, 2, 5)))):
        arm = draw(st.sampled_from(following or fields))
        sent.append(draw(messages_with(descriptor, arm)))
    _join_audio(sent)
    return sent


def _join_audio(sent: list[Any]) -> None:
    """Lets each audio message that begins at 0 continue the one before it."""
    next_sample = 0
    for message in sent:
        if "audio" not in message.DESCRIPTOR.fields_by_name or not message.HasField("audio"):
            continue
        if message.audio.start_sample == 0:
            message.audio.start_sample = next_sample
        next_sample += len(message.audio.pcm) // 2


@st.composite
def _wire(draw: DrawFn, message: Message, broken: bool) -> bytes:
    """Draws the bytes of a message, some of them wrong."""
    sent = bytearray(message.SerializeToString())
    if not broken:
        return bytes(sent)
    if not sent or draw(st.booleans()):
        return bytes(sent) + draw(st.binary(min_size=1, max_size=8))
    for _ in range(draw(st.integers(1, 4))):
        sent[draw(st.integers(0, len(sent) - 1))] = draw(st.integers(0, 255))
    return bytes(sent[: draw(st.integers(0, len(sent)))] if draw(st.booleans()) else sent)


def groups_of_calls() -> SearchStrategy[list[tuple[str, Call]]]:
    """Returns a strategy for calls of any methods that are made at the same time."""
    every = methods()
    own = [pair for pair in every if pair[1].full_name.startswith("anima.")]
    # Each service also serves health and reflection, which would be half of all calls.
    one = (st.sampled_from(own) | st.sampled_from(own) | st.sampled_from(every)).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), calls(pair[1]))
    )
    return st.lists(one, min_size=6, max_size=16)


async def make(channel: grpc.aio.Channel, call: Call) -> grpc.StatusCode:
    """Makes a call and returns its status.

    Raises:
        AssertionError: The server hangs, a handler has failed, or a response is not valid.
    """
    service = call.method.containing_service
    # A unary call is, on the wire, a stream of one message.
    stream: Any = channel.stream_stream(
        f"/{service.full_name}/{call.method.name}",
        request_serializer=bytes,
        response_deserializer=GetMessageClass(call.method.output_type).FromString,
    )(metadata=call.metadata)
    writing = asyncio.create_task(_write(stream, call))
    try:
        await _read(stream, call)
    finally:
        stream.cancel()
        await asyncio.wait([writing])
    code: grpc.StatusCode = await stream.code()
    details = await stream.details()
    cut = call.method.client_streaming and details == _CUT_WHILE_WRITING
    assert code not in _FAULTS or cut, f"{code}: {details}, of {call}"
    return code


async def _write(stream: Any, call: Call) -> None:
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the call has ended
        for request in call.requests:
            await stream.write(request)
            if call.slow:
                await asyncio.sleep(_GAP_S)
        if call.ending is Ending.CLOSED or not call.method.client_streaming:
            await stream.done_writing()


async def _read(stream: Any, call: Call) -> None:
    end_s = asyncio.get_running_loop().time() + _LONG_ENOUGH_S
    responses = 0
    try:
        while True:
            patience_s = _patience_s(call, responses)
            async with asyncio.timeout(patience_s):
                response = await stream.read()
            responses += 1
            enough = responses >= _MOST_RESPONSES or asyncio.get_running_loop().time() > end_s
            if response is grpc.aio.EOF or enough or call.ending is Ending.DROPPED:
                return
    except TimeoutError:
        assert patience_s < HANG_S, f"{call} hangs after {responses} responses"
    except grpc.aio.AioRpcError:
        pass  # the status is judged by the caller


def _patience_s(call: Call, responses: int) -> float:
    """Returns how long to wait for a response; less than `HANG_S` if the server owes none."""
    if call.method.client_streaming and call.ending is not Ending.CLOSED:
        return _QUIET_S
    return _QUIET_S if responses and call.method.full_name in _ENDLESS else HANG_S
