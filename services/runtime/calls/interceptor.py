"""The code around every call, and the only place where errors become statuses.

From outside in: span, metrics, errors, token and role, readiness, place; then the handler. A
handler that streams answers runs inside the interceptor's own task from start to the closing of its
generator: grpc.aio itself leaves a cancelled generator to the garbage collector, and its place
would be occupied until then.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog

from services.runtime.calls.admission import FULL, Admission
from services.runtime.calls.call import Call, Context
from services.runtime.calls.decoding import Undecodable, checked
from services.runtime.calls.refusals import Refusals
from services.runtime.errors import (
    DETAILS_KEY,
    AnimaError,
    Busy,
    DeadlineExceeded,
    InternalError,
    Unavailable,
    as_anima_error,
)
from services.runtime.identity.authorisation import RPCS, Permission, permission_of
from services.runtime.identity.caller import Identity, acting_as, caller, while_accepted
from services.runtime.identity.verifier import Verifier
from services.runtime.limits.callers import counted_as
from services.runtime.limits.progress import REFLECTION, STALLED, StreamLimits, Watch
from services.runtime.limits.rates import Rate, requests_a_minute
from services.runtime.observing.logs import get_logger
from services.runtime.observing.metrics import ServerMetrics
from services.runtime.observing.tracing import Provider, end_span, server_span, tracer_provider

MOST_PROBES = 1_024
"""Health calls and reflection, which may stay open for ever; a gateway watches with one call."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(kw_only=True)
class CallGuard:
    """The checks before a call reaches its handler, and its metrics.

    Attributes:
        stage: The name of the stage, for logs.
        verifier: The token check.
        admission: The places.
        counted_methods: The names of the methods that occupy a place.
        limits: The limits of each streaming method.
        by_address: Whether callers without a token of their own are told apart by address.
        metrics: The counters.
        provider: The trace provider.
        closed_because: Why calls are rejected, such as warming up; empty: they are accepted.
        idle: Set while no call is being served; health and reflection do not count.
    """

    stage: str
    verifier: Verifier
    admission: Admission
    counted_methods: frozenset[str]
    limits: Mapping[str, StreamLimits]
    by_address: bool
    metrics: ServerMetrics
    provider: Provider
    closed_because: str
    closed_reason: str
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: int = 0
    _probes: Admission = field(default_factory=lambda: Admission(MOST_PROBES, of="health calls"))
    requests: Rate = field(default_factory=lambda: requests_a_minute(0))
    refusals: Refusals = field(default_factory=Refusals)
    _own_places: dict[str, Admission] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Starts idle, with the places of the methods that have their own."""
        self.idle.set()
        for method, limits in self.limits.items():
            if limits.at_once is not None:
                self._own_places[method] = Admission(limits.at_once, of=f"calls of {method}")

    async def identify(self, call: Call) -> Identity:
        """Returns the caller, who may call the method.

        Raises:
            Unauthenticated: The token is missing or not accepted.
            PermissionDenied: The caller has not the role, or the method is in no table.
        """
        row = RPCS.get(call.full_name)
        if row is not None and row.before_token:
            return Identity(mode=self.verifier.mode, roles=frozenset(), peer=call.peer)
        identity = await self.verifier.of_header(call.authorization, peer=call.peer)
        call.permission = permission_of(row, call.full_name)
        call.permission.check(identity)
        return identity

    @contextmanager
    def admit(self, call: Call) -> Iterator[None]:
        """Admits a call for the body, or raises the reason why not."""
        if call.health or call.reflection:
            with self._probes.place():
                yield
            return
        if self.closed_because:
            raise Unavailable(self.closed_because, reason=self.closed_reason)
        self._serving += 1
        self.idle.clear()
        try:
            with self._place(call):
                yield
        finally:
            self._serving -= 1
            if not self._serving:
                self.idle.set()

    @asynccontextmanager
    async def guarding(self, call: Call) -> AsyncIterator[None]:
        """Identifies and admits the caller for the body, and watches its progress."""
        identity = await self.identify(call)
        if call.observed:
            self.requests.take(counted_as(identity, by_address=self.by_address))
        with acting_as(identity), self.admit(call):
            async with while_accepted(identity), self._watched(call):
                yield

    @asynccontextmanager
    async def _watched(self, call: Call) -> AsyncIterator[None]:
        """Ends a call in the body whose client makes no progress."""
        limits = REFLECTION if call.reflection else self.limits.get(call.name)
        if call.health or limits is None:
            yield
            return
        try:
            async with Watch(limits) as call.watch:
                if call.place is not None:
                    call.place.holder = call.watch
                yield
        except DeadlineExceeded as error:
            if error.reason in STALLED and not call.reflection:
                self.metrics.stalled.labels(*call.labels, error.reason).inc()
            raise

    @contextmanager
    def _place(self, call: Call) -> Iterator[None]:
        places = self._own_places.get(call.name)
        if places is None and call.name in self.counted_methods:
            places = self.admission
        if places is None:
            yield
            return
        try:
            with places.place(
                caller=counted_as(caller(), by_address=self.by_address)
            ) as call.place:
                active = self.metrics.active_streams.labels(*call.labels)
                active.inc()
                try:
                    yield
                finally:
                    active.dec()
        except Busy as error:
            if error.reason in FULL:
                self.metrics.rejected.labels(*call.labels).inc()
            raise


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler with the guard."""

    def __init__(self, guard: CallGuard) -> None:
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the handler wrapped with the guard; None (UNIMPLEMENTED) if there is none."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        behaviour, make = _parts(handler)
        if handler.response_streaming:
            wrapped = self._streaming(method, behaviour, handler.request_streaming)
        else:
            wrapped = self._unary(method, behaviour, handler.request_streaming)
        return make(
            wrapped,
            request_deserializer=checked(handler.request_deserializer, handler.request_streaming),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Any, request_streaming: bool) -> Any:
        async def answer(request: Any, context: Context) -> Any:
            requests = request if request_streaming else None
            async with self._around(method, context, requests) as call:
                received = self._received(call, request, request_streaming)
                response = await _started(behaviour, received, context)
                self._sent(call, first=True)
                return response

        return answer

    def _streaming(self, method: str, behaviour: Any, request_streaming: bool) -> Any:
        async def answer(request: Any, context: Context) -> None:
            requests = request if request_streaming else None
            async with self._around(method, context, requests) as call:
                received = self._received(call, request, request_streaming)
                if not inspect.isasyncgenfunction(behaviour):
                    await _started(behaviour, received, context)
                    return
                first = True
                async with aclosing(behaviour(received, context)) as responses:
                    async for response in responses:
                        await _write(call, context, response)
                        self._sent(call, first=first)
                        first = False

        return answer

    @asynccontextmanager
    async def _around(self, method: str, context: Context, requests: Any) -> AsyncIterator[Call]:
        call = Call(method, context, requests)
        if not call.observed:
            async with self._answering_errors(call, context), self._guard.guarding(call):
                yield call
            return
        with (
            tracer_provider(self._guard.provider),
            server_span(method, call.metadata) as span,
            structlog.contextvars.bound_contextvars(stage=self._guard.stage),
        ):
            try:
                async with self._answering_errors(call, context), self._guard.guarding(call):
                    yield call
                call.code = _code_of(context)
            finally:
                end_span(span, code_number=call.code.value[0], code_name=call.code.name)
                metrics = self._guard.metrics
                metrics.calls.labels(*call.labels, call.code.name).inc()
                metrics.stream_seconds.labels(*call.labels).observe(call.elapsed_s())

    @asynccontextmanager
    async def _answering_errors(self, call: Call, context: Context) -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        except grpc.aio.AbortError:
            call.code = _code_of(context)
            raise
        except Exception as raised:
            error = as_anima_error(raised)
            call.code = error.code
            _log_failure(call, error, raised)
            if call.requests is not None and call.observed and not call.first_read:
                await self._guard.refusals.until_readable(call.requests)
            await context.abort(
                error.code,
                error.to_status().message,
                trailing_metadata=((DETAILS_KEY, error.to_status().SerializeToString()),),
            )

    def _received(self, call: Call, request: Any, request_streaming: bool) -> Any:
        if isinstance(request, Undecodable):
            raise request.error
        if request_streaming and call.watch is not None:
            request = call.watch.requests(request)
        if not call.observed:
            return request
        counter = self._guard.metrics.messages.labels(*call.labels, "received")
        who = caller()
        if request_streaming:

            def count() -> None:
                call.first_read = True
                counter.inc()

            return _incoming(request, count, call.permission if who.is_bound else None, who)
        counter.inc()
        call.permission.bind(request, who)
        return request

    def _sent(self, call: Call, *, first: bool) -> None:
        if not call.observed:
            return
        self._guard.metrics.messages.labels(*call.labels, "sent").inc()
        if first:
            self._guard.metrics.first_response_seconds.labels(*call.labels).observe(
                call.elapsed_s()
            )


def _log_failure(call: Call, error: AnimaError, raised: BaseException) -> None:
    if error is not raised and isinstance(error, InternalError):
        get_logger().error("call failed", method=call.method, exc_info=raised)
    elif isinstance(error, InternalError | Unavailable):
        get_logger().warning(
            "call failed", method=call.method, code=error.code.name, message=error.message
        )
    else:
        get_logger().debug(
            "call rejected", method=call.method, code=error.code.name, message=error.message
        )


def _parts(handler: Any) -> tuple[Any, Any]:
    if handler.request_streaming:
        if handler.response_streaming:
            return handler.stream_stream, grpc.stream_stream_rpc_method_handler
        return handler.stream_unary, grpc.stream_unary_rpc_method_handler
    if handler.response_streaming:
        return handler.unary_stream, grpc.unary_stream_rpc_method_handler
    return handler.unary_unary, grpc.unary_unary_rpc_method_handler


async def _started(behaviour: Any, request: Any, context: Context) -> Any:
    if not inspect.iscoroutinefunction(behaviour):
        # the generated base class: a method that the servicer does not override is a plain function
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the method is not implemented")
    return await behaviour(request, context)


async def _write(call: Call, context: Context, response: Any) -> None:
    if call.watch is None:
        await context.write(response)
    else:
        await call.watch.write(context.write(response))


async def _incoming(
    requests: Any, count: Callable[[], None], permission: Permission | None, who: Identity
) -> AsyncIterator[Any]:
    async for request in requests:
        count()
        if permission is not None:
            permission.bind(request, who)
        yield request


def _code_of(context: Context) -> grpc.StatusCode:
    code: Any = context.code()
    if code is None:  # the handler has not set one
        return grpc.StatusCode.OK
    return code if isinstance(code, grpc.StatusCode) else _CODES.get(code, grpc.StatusCode.UNKNOWN)
