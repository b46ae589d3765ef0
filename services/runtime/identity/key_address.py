"""Keys at the address of a JSON Web Key Set; imported only where one is set."""

from __future__ import annotations

import asyncio

import httpx

from services.runtime.identity.key_sources import MAX_KEYS_BYTES, KeySource
from services.runtime.identity.keys import KeyFormatError, VerificationKey, parse_keys


class KeyAddress(KeySource):
    """Keys at the address of a JSON Web Key Set, such as that of an OpenID provider.

    Args:
        url: The address; redirects are not followed.
        timeout_s: How long one answer may take.
    """

    def __init__(
        self, url: str, *, refresh_s: float = 300.0, pause_s: float = 10.0, timeout_s: float = 5.0
    ) -> None:
        super().__init__(refresh_s=refresh_s, pause_s=pause_s)
        self._url = url
        self._timeout_s = timeout_s

    def __str__(self) -> str:
        return self._url

    async def _load(self) -> tuple[VerificationKey, ...] | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                found = parse_keys(await self._fetch(), secrets=False)
        except (httpx.HTTPError, TimeoutError) as error:
            raise OSError(f"no answer: {type(error).__name__} {error}") from error
        # An equal answer must not empty the cache of checked tokens; public keys compare by value.
        return None if found == self._keys else found

    async def _fetch(self) -> bytes:
        # In a thread, because reading the certificates of the system takes long.
        client = await asyncio.to_thread(httpx.AsyncClient, timeout=self._timeout_s)
        async with (
            client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as answer,
        ):
            if not answer.is_success:
                raise KeyFormatError(f"the answer has the status {answer.status_code}")
            content = bytearray()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > MAX_KEYS_BYTES:
                    raise KeyFormatError(f"the answer is larger than {MAX_KEYS_BYTES} bytes")
            return bytes(content)
