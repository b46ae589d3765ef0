"""Calls of llama.cpp's server that are no chat: its properties and the content of its slots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from services.llm.prompt.chat import message_fields
from services.llm.prompt.prompt import Message
from services.llm.prompt.tools import Tool
from services.runtime.errors import Unavailable

URL: Final = "http://model"
"""A server on a Unix socket has no host; the name appears in no look-up."""
_TIMEOUT_S: Final = 30.0


class Control:
    """Calls one server.

    Args:
        socket: Its Unix socket.
        read_timeout_s: The maximum time to read a prompt.
    """

    def __init__(self, socket: Path, *, read_timeout_s: float) -> None:
        self._read_timeout_s = read_timeout_s
        self._http = httpx.AsyncClient(
            base_url=URL,
            timeout=httpx.Timeout(_TIMEOUT_S),
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def loaded(self) -> dict[str, Any]:
        """Returns the properties of the server and its model.

        Raises:
            Unavailable: The server does not answer.
        """
        return await self._call("GET", "/props")

    async def read(
        self, slot: int, messages: Sequence[Message], tools: Sequence[Tool], kwargs: dict[str, Any]
    ) -> None:
        """Makes a slot hold the keys and values of a beginning of a chat, and nothing else.

        Raises:
            Unavailable: The server does not answer, or its template rejects the messages.
        """
        body: dict[str, Any] = {
            "messages": [message_fields(one, parsed=False) for one in messages],
            "add_generation_prompt": False,
            "cache_prompt": False,
            "id_slot": slot,
            "n_predict": 0,
            "chat_template_kwargs": kwargs,
        }
        if tools:
            body["tools"] = [tool.as_function() for tool in tools]
        await self._call("POST", "/v1/chat/completions", body, timeout_s=self._read_timeout_s)

    async def save(self, slot: int, name: str) -> None:
        """Writes what a slot holds to a file in the folder of the process.

        Raises:
            Unavailable: The server cannot.
        """
        await self._call("POST", f"/slots/{slot}?action=save", {"filename": name})

    async def restore(self, slot: int, name: str) -> None:
        """Replaces what a slot holds by the content of a file.

        Raises:
            Unavailable: The server cannot.
        """
        await self._call("POST", f"/slots/{slot}?action=restore", {"filename": name})

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, json=body, timeout=timeout_s)
            response.raise_for_status()
            found: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"the process of the model: {error}", reason="ENGINE_DOWN") from None
        return found
