"""The memory of the person at the page: `/v1/memory` lists, exports and erases it.

The header `anima-user-id` names the user: a random id that the browser keeps. It grants access like
a key, so it is not part of the URL, which ends up in logs. With signed tokens the token names the
user, and the header is not needed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.json_format import MessageToDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from anima.memory.v1 import memory_pb2 as memory
from gateway.stages.mesh import Mesh
from services.runtime.calls.streams import received
from services.runtime.errors import AnimaError, InvalidRequest, error_from_rpc
from services.runtime.identity.caller import caller
from services.runtime.observing.logs import get_logger
from services.runtime.validation import check_name, check_turn_id

USER_HEADER = "anima-user-id"
_TIMEOUT_S = 5.0
_FORGET_TIMEOUT_S = 60.0
_EXPORT_TIMEOUT_S = 120.0
_PAGE_SIZE = 50


def memory_routes(mesh: Mesh) -> list[BaseRoute]:
    """Returns the routes.

    Args:
        mesh: The stages, already entered.
    """
    calls = _Calls(mesh)
    return [
        Route("/v1/memory", calls.list_items, methods=["GET"]),
        Route("/v1/memory", calls.forget_everything, methods=["DELETE"]),
        Route("/v1/memory/export", calls.export, methods=["GET"]),
        Route("/v1/memory/{item_id}", calls.forget_item, methods=["DELETE"]),
    ]


class _Calls:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def list_items(self, request: Request) -> Response:
        """Returns a page of items, newest first."""
        wanted = memory.ListRequest(
            user_id=_user_of(request),
            page_size=_PAGE_SIZE,
            page_token=request.query_params.get("page_token", "")[:512],
        )
        try:
            listed = await self._mesh.memory.List(wanted, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None
        return JSONResponse(
            {
                "items": [_as_json(item) for item in listed.items],
                "next_page_token": listed.next_page_token,
                "total_count": listed.total_count,
            },
            headers={"cache-control": "no-store"},
        )

    async def forget_item(self, request: Request) -> Response:
        """Erases one item."""
        item_id = request.path_params["item_id"]
        check_turn_id("item_id", item_id)
        items = memory.ItemIds(item_ids=[item_id])
        return await self._forget(memory.ForgetRequest(user_id=_user_of(request), items=items))

    async def forget_everything(self, request: Request) -> Response:
        """Erases everything about the person."""
        return await self._forget(memory.ForgetRequest(user_id=_user_of(request), everything=True))

    async def export(self, request: Request) -> Response:
        """Streams all items, oldest first, one JSON object per line."""
        wanted = memory.ExportRequest(user_id=_user_of(request))
        items = received("memory", self._mesh.memory.Export(wanted, timeout=_EXPORT_TIMEOUT_S))
        # A refusal comes before the first item, and still has a status of its own.
        first = await anext(items, None)
        headers = {
            "content-disposition": 'attachment; filename="anima-memory.jsonl"',
            "cache-control": "no-store",
        }
        lines = _lines(first, items)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    async def _forget(self, request: memory.ForgetRequest) -> Response:
        try:
            forgotten = await self._mesh.memory.Forget(request, timeout=_FORGET_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None
        self._mesh.memory_clock.answered(forgotten.clock_unix_ns)
        item_ids = None if request.everything else request.items.item_ids
        await self._mesh.remember_queue.forget(request.user_id, item_ids)
        return JSONResponse({"forgotten_count": forgotten.forgotten_count})


def _user_of(request: Request) -> str:
    named = unquote(request.headers.get(USER_HEADER, ""))
    user_id = caller().user_of(named, field=USER_HEADER)
    if not user_id:
        raise InvalidRequest(f"{USER_HEADER}: the header is missing; it names the user")
    check_name(USER_HEADER, user_id, 128)
    return user_id


async def _lines(
    first: memory.ExportResponse | None, rest: AsyncIterator[memory.ExportResponse]
) -> AsyncIterator[str]:
    try:
        if first is not None:
            yield json.dumps(_as_json(first.item), ensure_ascii=False) + "\n"
        async for part in rest:
            yield json.dumps(_as_json(part.item), ensure_ascii=False) + "\n"
    except AnimaError as problem:
        # The status has already been sent, so a line reports that the export is incomplete.
        get_logger().warning("an export is incomplete", problem=str(problem))
        yield json.dumps({"error": problem.message}) + "\n"


def _as_json(item: memory.Item) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(item, preserving_proto_field_name=True)
    plain["kind"] = memory.ItemKind.Name(item.kind).removeprefix("ITEM_KIND_").lower()
    plain["speaker"] = memory.Speaker.Name(item.speaker).removeprefix("SPEAKER_").lower()
    plain["created_unix_ms"] = item.created_unix_ms
    return plain
