"""The API key of the model server, from the settings or from a file that may change."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.llm.settings import LlmSettings, is_api_key
from services.runtime.errors import FailedPrecondition
from services.runtime.identity.settings import read_token_file


class ApiKey:
    """Provides the key; a key file that has changed is read again, in a thread."""

    def __init__(self, settings: LlmSettings) -> None:
        self._key = settings.api_key
        self._file = settings.api_key_file
        self._read: tuple[int, int, int] | None = None

    async def current(self) -> str | None:
        """Returns the current key; None if there is none.

        Raises:
            FailedPrecondition: The file cannot be read or contains no key.
        """
        if self._file is None:
            return self._key
        try:
            return await asyncio.to_thread(self._from_file, self._file)
        except (OSError, ValueError) as error:
            raise FailedPrecondition(
                f"ANIMA_LLM_API_KEY_FILE: {error}", reason="MODEL_KEY"
            ) from None

    def hidden(self, text: str) -> str:
        """Returns the text with the key masked."""
        return text.replace(self._key, "***") if self._key else text

    def _from_file(self, file: Path) -> str:
        status = file.stat()
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._key is None or version != self._read:
            key = read_token_file(file)
            if not is_api_key(key):
                raise ValueError(f"{file} contains no key: must be printable ASCII without spaces")
            self._key, self._read = key, version
        return self._key
