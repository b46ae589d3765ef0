"""Keys that check signatures, read again in the background; here from a file."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from services.runtime.identity.keys import KeyFormatError, VerificationKey, parse_keys
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

MAX_KEYS_BYTES: Final = 256 * 1024


class KeySource(ABC):
    """Keys that are read again in the background: regularly, and when a token names an unknown one.

    A reading that fails leaves the keys as they were.

    Args:
        refresh_s: The keys are read again when they are older than this.
        pause_s: The least time between two readings, whatever tokens ask for.

    Attributes:
        version: Raised when the keys have changed.
    """

    def __init__(self, *, refresh_s: float, pause_s: float) -> None:
        self.version = 0
        self._keys: tuple[VerificationKey, ...] = ()
        self._refresh_s = refresh_s
        self._pause_s = pause_s
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._tasks = Tasks("keys")

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        """The keys that are known now."""
        return self._keys

    def tick(self) -> None:
        """Starts to read the keys again if they are old; does not wait."""
        if asyncio.get_running_loop().time() - self._read_at > self._refresh_s:
            self._start()

    async def refresh(self) -> None:
        """Reads the keys again, unless they were read a moment ago; shares a reading under way."""
        if asyncio.get_running_loop().time() - self._read_at > self._pause_s:
            self._start()
        if self._reading is not None:
            # Not awaited itself: a caller that leaves must not cancel what others wait for.
            await asyncio.wait([self._reading])

    async def close(self) -> None:
        """Ends a reading under way."""
        await self._tasks.close()

    def _start(self) -> None:
        if self._reading is None:
            self._read_at = asyncio.get_running_loop().time()
            self._reading = self._tasks.start(self._read(), name="read keys")

    async def _read(self) -> None:
        try:
            found = await self._load()
            if found is not None:
                self._take(found)
        except (KeyFormatError, OSError) as error:
            get_logger().warning("keys could not be read", source=str(self), problem=str(error))
        finally:
            self._reading = None

    def _take(self, keys: tuple[VerificationKey, ...]) -> None:
        self._keys = keys
        self.version += 1

    @abstractmethod
    async def _load(self) -> tuple[VerificationKey, ...] | None:
        """Returns the keys; None: they are as before."""


class KeyFile(KeySource):
    """Keys in a file, which is read again when it has changed.

    Args:
        path: A JSON Web Key Set, PEM public keys, or a secret in hexadecimal.

    Raises:
        KeyFormatError: The file cannot be read or holds no usable keys.
    """

    def __init__(self, path: Path, *, refresh_s: float = 5.0, pause_s: float = 1.0) -> None:
        super().__init__(refresh_s=refresh_s, pause_s=pause_s)
        self._path = path
        try:
            self._stamp = _stamp_of(path)
            self._take(parse_keys(_content(path), secrets=True))
        except OSError as error:
            raise KeyFormatError(f"it cannot be read: {error.strerror or error}") from None

    def __str__(self) -> str:
        return str(self._path)

    async def _load(self) -> tuple[VerificationKey, ...] | None:
        return await asyncio.to_thread(self._changed)

    def _changed(self) -> tuple[VerificationKey, ...] | None:
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return None
        found = parse_keys(_content(self._path), secrets=True)
        self._stamp = stamp
        return found


def _stamp_of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_KEYS_BYTES + 1)
    if len(content) > MAX_KEYS_BYTES:
        raise KeyFormatError(f"it is larger than {MAX_KEYS_BYTES} bytes")
    return content
