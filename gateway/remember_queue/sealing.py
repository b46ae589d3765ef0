"""Encrypts turns that wait on disk, for a memory whose own database is encrypted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"anima remember queue 1"


def read_key(hexadecimal: str, file: Path | None) -> bytes | None:
    """Returns the key that is set as text or in a file; None: neither is set.

    Raises:
        ValueError: The file cannot be read, or the value is not a key; the text does not contain
            it.
    """
    if file is not None:
        try:
            hexadecimal = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"memory_key_file: {file} cannot be read") from error
    elif not hexadecimal:
        return None
    try:
        key = bytes.fromhex(hexadecimal)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("memory_key: is not 64 hexadecimal digits") from None
    return key


class Seal:
    """Seals texts with AES-256-GCM under a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher: AESGCM = AESGCM(key)

    def close(self, content: bytes) -> bytes:
        """Returns the content, encrypted and authenticated."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _PURPOSE)

    def open(self, sealed: bytes) -> bytes:
        """Returns the sealed content.

        Raises:
            ValueError: It was sealed with another key, or has been modified.
        """
        from cryptography.exceptions import InvalidTag

        try:
            nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, content, _PURPOSE)
        except (InvalidTag, ValueError) as error:
            raise ValueError("is sealed with another key") from error
