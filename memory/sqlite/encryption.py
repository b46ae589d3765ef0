"""Encryption of the memory's database: SQLCipher, page by page, with a key of our own.

The whole file, its log and its unused parts are AES-256 pages with an HMAC each, so they are
unreadable without the key, and changed pages are detected. The library comes with the extra
`encryption`.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from memory.service.faults import StoreError

KEY_BYTES = 32
_PLAIN_HEADER = b"SQLite format 3\0"


class Key:
    """A key of 32 bytes, which is never shown."""

    __slots__ = ("_hex",)

    def __init__(self, text: str) -> None:
        """Parses a key.

        Raises:
            ValueError: It is not 64 hexadecimal digits; the text does not contain it.
        """
        try:
            content = bytes.fromhex(text)
        except ValueError:
            content = b""
        if len(content) != KEY_BYTES:
            raise ValueError(
                "key: must be 64 hexadecimal digits; create one with: anima memory new-key FILE"
            ) from None
        self._hex = content.hex()

    def __repr__(self) -> str:
        return "Key(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._hex, other._hex)

    def __hash__(self) -> int:
        return hash(Key)

    @property
    def secret(self) -> str:
        """The key in SQLCipher's raw format, from which no other key is derived."""
        return f"x'{self._hex}'"


def read_key(path: Path) -> Key:
    """Reads a key from a file that contains nothing else.

    Raises:
        ValueError: It cannot be read, or contains no key.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"key_file: {path} cannot be read") from error
    try:
        return Key(text)
    except ValueError as error:
        raise ValueError(f"key_file: {path}: {error}") from None


def write_new_key(path: Path) -> None:
    """Creates a key and writes it to a new file that only its owner can read.

    Raises:
        FileExistsError: The file already exists.
    """
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())


def is_plain(path: Path) -> bool:
    """Returns whether a file is a database that is not encrypted."""
    with path.open("rb") as file:
        return file.read(len(_PLAIN_HEADER)) == _PLAIN_HEADER


def check_form(path: Path) -> None:
    """Checks that a database for which there is a key is encrypted.

    Raises:
        StoreError: It is not; the text states what to do.
    """
    if is_plain(path):
        raise StoreError(
            f"{path} is not encrypted, but a key is set: run anima memory encrypt, or set no key"
        )


def connect(path: Path, key: Key | None, *, timeout_s: float) -> sqlite3.Connection:
    """Opens an encrypted database, or a plain one if there is no key, like `sqlite3.connect`.

    Raises:
        StoreError: The library is missing, or the key does not fit the database.
    """
    connection = _cipher_connection(path, timeout_s)
    try:
        if key is not None:
            connection.execute(f'PRAGMA key = "{key.secret}"')
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_NOTADB:
            raise
        raise StoreError(
            f"{path} cannot be read with this key: set the key that it was encrypted with."
            " Without that key it cannot be read; nothing was changed"
        ) from None
    return connection


def _cipher_connection(path: Path, timeout_s: float) -> sqlite3.Connection:
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise StoreError(
            f"a key is set, but SQLCipher is missing ({error}): pip install 'anima[encryption]'"
        ) from error

    class CipherConnection(dbapi2.Connection):
        """Raises the exceptions of `sqlite3`, which all other code expects."""

        def execute(self, *arguments: Any) -> Any:
            with as_sqlite_errors():
                return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            with as_sqlite_errors():
                return super().executemany(*arguments)

    connection = dbapi2.connect(
        str(path),
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
        factory=CipherConnection,
    )
    return cast(sqlite3.Connection, connection)


@contextmanager
def as_sqlite_errors() -> Iterator[None]:
    """Converts the exceptions of SQLCipher's library to those of `sqlite3`."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("sqlcipher3"):
            raise
        known: type[sqlite3.Error] = getattr(sqlite3, type(error).__name__, sqlite3.DatabaseError)
        turned = known(*error.args)
        turned.sqlite_errorcode = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        raise turned from error
