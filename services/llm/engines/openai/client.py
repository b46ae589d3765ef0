"""Chat completions over HTTP: streamed, retried only before the first token, closed at once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Final

import httpx

from services.llm.engines.openai.chunks import Chunk, error_text, read_chunk
from services.llm.engines.openai.options import OpenAiOptions
from services.llm.engines.openai.sse import EventParser
from services.llm.metrics import RETRIES
from services.llm.settings import LlmSettings
from services.runtime.errors import (
    AnimaError,
    Busy,
    FailedPrecondition,
    NotFound,
    Unavailable,
)
from services.runtime.logs import get_logger

_FIRST_PAUSE_S: Final = 0.2
_MAX_ERROR_BYTES: Final = 64 * 1024
_DONE: Final = "[DONE]"


class _Again(Exception):  # noqa: N818 (not an error of its own)
    """The request may be sent again; `error` is what to tell if it is not."""

    def __init__(self, error: AnimaError, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait_s = wait_s


class ChatClient:
    """Talks to one server."""

    def __init__(self, options: OpenAiOptions, settings: LlmSettings) -> None:
        self._options = options
        self._settings = settings
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=options.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            # reading the certificates takes a tenth of a second; plain HTTP needs none
            verify=options.base_url.startswith("https:"),
            follow_redirects=False,  # a redirect would carry the key to another server
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def models(self) -> list[str]:
        """The models that the server lists; empty if it answers but keeps no list.

        Raises:
            AnimaError: It cannot be reached or refuses the key.
        """
        url = f"{self._options.base_url}/models"
        try:
            async with asyncio.timeout(self._options.first_token_timeout_s):
                response = await self._http.get(url, headers=self._headers())
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unreachable(error) from None
        if response.status_code in (404, 405):
            return []
        if response.status_code != httpx.codes.OK:
            raise self._refused(response, response.content).error
        try:
            return [str(model["id"]) for model in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            return []

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Sends a chat and gives what comes; closing or cancelling it closes the connection.

        Raises:
            AnimaError: The server refused, failed or fell silent.
        """
        for attempt in range(self._options.retries + 1):
            begun = False
            try:
                async with aclosing(self._attempt(body)) as chunks:
                    async for chunk in chunks:
                        begun = begun or bool(chunk.text or chunk.calls)
                        yield chunk
                return
            except _Again as again:
                wait_s = again.wait_s
                if wait_s is None:
                    wait_s = _FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)
                last = attempt == self._options.retries
                if begun or last or wait_s > self._options.max_retry_wait_s:
                    raise again.error from None
                get_logger().warning("model asked again", why=again.error.message, attempt=attempt)
            RETRIES.labels("openai").inc()
            await asyncio.sleep(wait_s)

    async def _attempt(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        url = f"{self._options.base_url}/chat/completions"
        request = self._http.build_request("POST", url, json=body, headers=self._headers())
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._options.first_token_timeout_s):
                response = await self._http.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                raise self._refused(response, await self._error_body(response))
            async with aclosing(self._chunks(response)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (httpx.HTTPError, TimeoutError) as error:
            raise _Again(self._unreachable(error)) from None
        finally:
            if response is not None:
                await response.aclose()

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[Chunk, None]:
        parser = EventParser()
        limit_s = self._options.first_token_timeout_s
        ended = False
        pieces = response.aiter_bytes()
        while True:
            async with asyncio.timeout(limit_s):
                piece = await anext(pieces, None)
            for data in self._parse(parser, piece):
                if data == _DONE:
                    return
                chunk = read_chunk(data)
                ended = ended or bool(chunk.finish_reason)
                if chunk.text or chunk.reasons or chunk.calls:
                    limit_s = self._options.between_tokens_timeout_s
                yield chunk
            if piece is None:
                break
        if not ended:
            raise _Again(Unavailable("the model's server ended the answer in its middle"))

    def _parse(self, parser: EventParser, piece: bytes | None) -> list[str]:
        try:
            return parser.finish() if piece is None else parser.feed(piece)
        except ValueError as error:
            raise Unavailable(f"the model's server sent what is no event: {error}") from None

    async def _error_body(self, response: httpx.Response) -> bytes:
        body = b""
        async with asyncio.timeout(self._options.between_tokens_timeout_s):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_ERROR_BYTES:
                    break
        return body

    def _headers(self) -> dict[str, str]:
        try:
            key = self._settings.read_api_key()
        except ValueError as error:
            raise FailedPrecondition(f"ANIMA_LLM_API_KEY_FILE: {error}") from None
        return {"authorization": f"Bearer {key}"} if key else {}

    def _refused(self, response: httpx.Response, body: bytes) -> _Again:
        """What a status says; only some of them may be asked again."""
        status = response.status_code
        said = self._without_key(_said(body))
        if status in (401, 403):
            error: AnimaError = FailedPrecondition(
                f"the model's server refuses the key (HTTP {status}): set ANIMA_LLM_API_KEY_FILE"
                f" or ANIMA_LLM_API_KEY. It says: {said}",
                reason="MODEL_KEY",
            )
        elif status == 404:
            error = NotFound(
                f"the model's server knows no such model or URL (HTTP 404): {said}", reason="MODEL"
            )
        elif status == 429:
            wait_s = _retry_after_s(response.headers.get("retry-after"))
            retry_ms = round(1000 * (wait_s if wait_s is not None else 1))
            busy = Busy(f"the model's server is busy: {said}", retry_after_ms=retry_ms)
            return _Again(busy, wait_s)
        elif status >= 500 or status == 408:
            failed = Unavailable(f"the model's server failed (HTTP {status}): {said}")
            return _Again(failed, _retry_after_s(response.headers.get("retry-after")))
        else:
            error = FailedPrecondition(
                f"the model's server refuses the request (HTTP {status}): {said}", reason="MODEL"
            )
        raise error

    def _unreachable(self, error: Exception) -> Unavailable:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            text = "the model's server did not answer in time"
        elif isinstance(error, httpx.ConnectError):
            text = "the model's server cannot be reached"
        else:
            text = f"the connection to the model's server broke: {type(error).__name__}"
        return Unavailable(f"{text}: {self._options.base_url}", reason="MODEL_SERVER")

    def _without_key(self, text: str) -> str:
        key = self._settings.read_api_key()
        return text.replace(key, "***") if key else text


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
