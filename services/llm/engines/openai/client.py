"""Chat completions over HTTP: streamed, retried only before the first token, closed at once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any, Final

import httpx

from services.llm.engines.openai.api_key import ApiKey
from services.llm.engines.openai.chunks import Chunk, error_text, is_too_long, read_chunk
from services.llm.engines.openai.options import OpenAiOptions
from services.llm.engines.openai.sse import EventStream
from services.llm.metrics import RETRIES
from services.runtime.errors import (
    AnimaError,
    Busy,
    FailedPrecondition,
    NotFound,
    Unavailable,
)
from services.runtime.observing.logs import get_logger

_FIRST_PAUSE_S: Final = 0.2
_MAX_ERROR_BYTES: Final = 64 * 1024
_MAX_MODELS_BYTES: Final = 4 * 1024 * 1024
_DONE: Final = "[DONE]"
TOO_LONG: Final = "CONTEXT"
"""The reason of the error for a chat that exceeds the context of the model."""


class _FailedError(Exception):
    """An attempt has failed.

    Attributes:
        error: The error for the caller if the request is not sent again.
        again: Whether it may be sent again.
        wait_s: The pause that the server asked for; None if it did not ask.
    """

    def __init__(
        self, error: AnimaError, *, again: bool = True, wait_s: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.wait_s = wait_s


class ChatClient:
    """Client of one server.

    Args:
        options: Its URL, time limits and retries.
        key: The key that it asks for; None: it asks for none.
        socket: The Unix socket on which it listens instead of at the address in its URL.
    """

    def __init__(
        self, options: OpenAiOptions, key: ApiKey | None = None, *, socket: Path | None = None
    ) -> None:
        self._options = options
        self._key = key
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=options.connect_timeout_s),
            limits=limits,
            # loading the certificates takes a tenth of a second; plain HTTP does not need them
            verify=options.base_url.startswith("https:"),
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits) if socket else None,
            follow_redirects=False,  # a redirect would carry the key to another server
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def models(self) -> list[str]:
        """Returns the models that the server lists; empty if it answers but has no list.

        Raises:
            AnimaError: The server cannot be reached or rejects the key.
        """
        url = f"{self._options.base_url}/models"
        headers = await self._headers()
        try:
            async with (
                asyncio.timeout(self._options.first_token_timeout_s),
                self._http.stream("GET", url, headers=headers) as response,
            ):
                body = await _read(response, _MAX_MODELS_BYTES)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unreachable(error) from None
        if response.status_code in (404, 405):
            return []
        if response.status_code != httpx.codes.OK:
            raise self._refused(response, body).error
        if len(body) > _MAX_MODELS_BYTES:
            raise Unavailable(
                f"the list of models must be at most {_MAX_MODELS_BYTES} bytes", reason="MODEL"
            )
        try:
            return [str(model["id"]) for model in json.loads(body)["data"]]
        except (ValueError, KeyError, TypeError):
            return []

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Sends a chat and yields the chunks; closing or cancelling it closes the connection.

        Raises:
            AnimaError: The server rejected the request, failed or stopped sending.
        """
        for attempt in range(self._options.retries + 1):
            begun = False
            try:
                async with aclosing(self._attempt(body)) as chunks:
                    async for chunk in chunks:
                        begun = begun or bool(chunk.text or chunk.calls)
                        yield chunk
                return
            except _FailedError as failed:
                wait_s = failed.wait_s
                if wait_s is None:
                    wait_s = _FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)
                last = attempt == self._options.retries or wait_s > self._options.max_retry_wait_s
                if begun or last or not failed.again:
                    raise failed.error from None
                get_logger().warning(
                    "retrying the model request", why=failed.error.message, attempt=attempt
                )
            RETRIES.labels("openai").inc()
            await asyncio.sleep(wait_s)

    async def _attempt(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        url = f"{self._options.base_url}/chat/completions"
        request = self._http.build_request("POST", url, json=body, headers=await self._headers())
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._options.first_token_timeout_s):
                response = await self._http.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                async with asyncio.timeout(self._options.between_tokens_timeout_s):
                    said = await _read(response, _MAX_ERROR_BYTES)
                raise self._refused(response, said)
            async with aclosing(self._chunks(response)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (httpx.HTTPError, TimeoutError) as error:
            raise _FailedError(self._unreachable(error)) from None
        finally:
            if response is not None:
                await response.aclose()

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[Chunk, None]:
        stream = EventStream(response, limit_s=self._options.first_token_timeout_s)
        ended = False
        async with aclosing(stream.data()) as events:
            async for data in events:
                if data == _DONE:
                    return
                chunk = read_chunk(data)
                ended = ended or bool(chunk.finish_reason)
                if chunk.text or chunk.reasons or chunk.calls:
                    stream.limit_s = self._options.between_tokens_timeout_s
                yield chunk
        if not ended:
            raise _FailedError(Unavailable("the model's server ended the answer early"))

    async def _headers(self) -> dict[str, str]:
        key = await self._key.current() if self._key else None
        return {"authorization": f"Bearer {key}"} if key else {}

    def _refused(self, response: httpx.Response, body: bytes) -> _FailedError:
        """Returns the error for a status; only some requests may be sent again."""
        status = response.status_code
        said = self._key.hidden(_said(body)) if self._key else _said(body)
        if status in (401, 403):
            refused = FailedPrecondition(
                f"the model's server rejected the key (HTTP {status}): set ANIMA_LLM_API_KEY_FILE"
                f" or ANIMA_LLM_API_KEY. Its message: {said}",
                reason="MODEL_KEY",
            )
            return _FailedError(refused, again=False)
        if status == 404:
            unknown = NotFound(
                f"the model's server has no such model or URL (HTTP 404): {said}", reason="MODEL"
            )
            return _FailedError(unknown, again=False)
        wait_s = _retry_after_s(response.headers.get("retry-after"))
        if status == 429:
            retry_ms = round(1000 * (wait_s if wait_s is not None else 1))
            busy = Busy(f"the model's server is busy: {said}", retry_after_ms=retry_ms)
            return _FailedError(busy, wait_s=wait_s)
        if status >= 500 or status == 408:
            failed = Unavailable(f"the model's server failed (HTTP {status}): {said}")
            return _FailedError(failed, wait_s=wait_s)
        refused = FailedPrecondition(
            f"the model's server rejected the request (HTTP {status}): {said}",
            reason=TOO_LONG if is_too_long(body) else "MODEL",
        )
        return _FailedError(refused, again=False)

    def _unreachable(self, error: Exception) -> Unavailable:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            text = "the model's server did not answer in time"
        elif isinstance(error, httpx.ConnectError):
            text = "the model's server cannot be reached"
        else:
            text = f"the connection to the model's server broke: {type(error).__name__}"
        return Unavailable(f"{text}: {self._options.base_url}", reason="MODEL_SERVER")


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """Reads a body; stops a little after `max_bytes`."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > max_bytes:
            break
    return bytes(body)


def _said(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return error_text(json.loads(text))
    except ValueError:
        return " ".join(text.split())[:300] or "nothing"


def _retry_after_s(header: str | None) -> float | None:
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None
