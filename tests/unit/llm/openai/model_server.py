"""A server of chat completions over real HTTP whose responses are scripted by a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def chunk(text: str = "", **delta: Any) -> dict[str, Any]:
    finish = delta.pop("finish_reason", None)
    usage = delta.pop("usage", None)
    content = {"content": text} if text else {}
    event: dict[str, Any] = {
        "choices": [{"index": 0, "delta": content | delta, "finish_reason": finish}]
    }
    return event | ({"usage": usage} if usage else {})


def event(data: dict[str, Any] | str) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def answer(*texts: str, finish: str = "stop") -> list[bytes]:
    events = [event(chunk(role="assistant")), *(event(chunk(text)) for text in texts)]
    return [*events, event(chunk(finish_reason=finish)), event("[DONE]")]


@dataclass
class Script:
    """The server's response to one request: a refusal, or pieces of bytes with gates."""

    pieces: list[bytes] = field(default_factory=lambda: answer("Hello", " there."))
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    hang_after: int | None = None
    """After so many pieces nothing comes any more."""
    cut_after: int | None = None
    """After so many pieces the connection is cut."""
    media_type: str = "text/event-stream"


@dataclass
class ModelServer:
    """The server while it is up."""

    base_url: str = ""
    scripts: list[Script] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["tiny", "other"])
    models_status: int = 200
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a script hangs."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has gone in the middle of an answer."""

    async def list_models(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization"))
        if self.models_status != 200:
            return JSONResponse({"error": {"message": "no"}}, status_code=self.models_status)
        return JSONResponse({"data": [{"id": name} for name in self.models]})

    async def complete(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization"))
        self.requests.append(await request.json())
        script = self.scripts.pop(0) if self.scripts else Script()
        if script.status != 200:
            return JSONResponse(script.body, status_code=script.status, headers=script.headers)
        return StreamingResponse(self._stream(script), media_type=script.media_type)

    async def _stream(self, script: Script) -> AsyncIterator[bytes]:
        try:
            for number, piece in enumerate(script.pieces):
                if number == script.cut_after:
                    raise ConnectionResetError
                if number == script.hang_after:
                    self.hung.set()
                    await asyncio.Event().wait()
                yield piece
        except asyncio.CancelledError:
            self.left.set()
            raise


@asynccontextmanager
async def model_server(
    change: Callable[[ModelServer], None] = lambda server: None,
) -> AsyncIterator[ModelServer]:
    """Serves on loopback for the body."""
    served = ModelServer()
    change(served)
    app = Starlette(
        routes=[
            Route("/v1/models", served.list_models),
            Route("/v1/chat/completions", served.complete, methods=["POST"]),
        ]
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    served.base_url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield served
    finally:
        server.should_exit = True
        server.force_exit = True
        await ticking
        await server.shutdown()
