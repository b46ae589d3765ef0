"""Notices that confirmed transactions are missing from a database.

SQLite keeps the last transactions in a log beside the database. If that log is cut off or removed,
SQLite opens what is left and says nothing. So each transaction counts itself in the database, and
after the commit the number is written into a file beside it: a database with a smaller number has
lost transactions.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from memory.sqlite.connection import Connection
from services.runtime.observing.logs import get_logger

NUMBER_NAME: Final = "memory.commits"
LOSS_NAME: Final = "memory.lost"
_DIGITS: Final = 20


@dataclass(frozen=True)
class Loss:
    """Transactions that were found missing.

    Attributes:
        transactions: Their number.
        noticed: When the last ones were noticed, ISO 8601.
        path: The record of it; the loss is reported until somebody removes this file.
    """

    transactions: int
    noticed: str
    path: Path

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Returns the recorded loss of a store; None if there was none."""
        path = folder / LOSS_NAME
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(found["transactions"]), str(found["noticed"]), path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return cls(0, "unknown", path)


class CommitCount:
    """The number of the last transaction, in the database and beside it.

    Needs the writer's lock, apart from `close`.

    Args:
        folder: The folder of the database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        opened = os.open(folder / NUMBER_NAME, os.O_CREAT | os.O_RDWR, 0o600)
        self._file = os.fdopen(opened, "r+b", buffering=0)
        self._number = 0

    def start(self, connection: Connection, *, is_new: bool) -> None:
        """Compares both numbers, and records and logs a loss.

        Args:
            connection: Reads the database.
            is_new: Whether there was no database before.
        """
        (self._number,) = connection.execute("SELECT number FROM commit_count").fetchone()
        missing = 0 if is_new else self._beside() - self._number
        if missing > 0:
            self._report(missing)
        self.note()

    def add(self, connection: Connection) -> None:
        """Counts the transaction that is being committed."""
        connection.execute("UPDATE commit_count SET number = ?", (self._number + 1,))

    def committed(self) -> None:
        """Records that the counted transaction is in the database."""
        self._number += 1
        self.note()

    def note(self) -> None:
        """Writes the number into the file; one that is too small reports less than is missing."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file.fileno(), f"{self._number:0{_DIGITS}}\n".encode(), 0)

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        self._file.close()

    def _beside(self) -> int:
        text = os.pread(self._file.fileno(), _DIGITS, 0)
        return int(text) if text.isdigit() else 0

    def _report(self, missing: int) -> None:
        before = Loss.read(self._folder)
        noticed = datetime.now(UTC).isoformat(timespec="seconds")
        record = {
            "transactions": missing + (before.transactions if before else 0),
            "noticed": noticed,
        }
        path = self._folder / LOSS_NAME
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(record) + "\n", encoding="utf-8")
        get_logger().error(
            "memories are missing: transactions that were confirmed are not in the database",
            transactions=missing,
            folder=str(self._folder),
            remedy=f"put back a copy of memory.db and memory.db-wal, or remove {path}",
        )
