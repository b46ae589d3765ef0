"""Clauses that were spoken before, in memory and, if wanted, on disk.

A mesh says the same things again and again: greetings, notices, answers from its corpus. Such a
clause costs nothing, which is how a natural voice can answer at once on a slow machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

import numpy as np

from services.runtime.observing.logs import get_logger
from services.runtime.process.private_files import write_private
from services.tts.neural.clause import Clause
from services.tts.timing import Sound

_ENDING: Final = ".clause"
_USES_FILE: Final = "uses.json"
_SOUND_BYTES: Final = 150
_LEAST_USES: Final = 50
"""With fewer clauses asked for, nothing is known about how often one is said again."""


class ClauseCache:
    """Keeps the clauses used last, up to a number of bytes.

    Args:
        max_bytes: In memory; 0: none.
        folder: The place on disk.
        max_disk_bytes: On disk; 0: nothing is written or read there.
    """

    def __init__(self, *, max_bytes: int, folder: Path, max_disk_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Clause] = OrderedDict()
        self._bytes = 0
        self._disk = _Disk(folder, max_disk_bytes) if max_disk_bytes else None
        self._hits, self._asked = self._disk.read_uses() if self._disk else (0, 0)
        self._lock = threading.Lock()

    @property
    def share(self) -> float:
        """The share of clauses, 0 to 1, that were found; 0 as long as too few were asked for."""
        return self._hits / self._asked if self._asked >= _LEAST_USES else 0.0

    def get(self, key: str) -> Clause | None:
        """Returns a clause; None: it is not here."""
        with self._lock:
            clause = self._kept.get(key)
            if clause is not None:
                self._kept.move_to_end(key)
            elif self._disk is not None and (clause := self._disk.read(key)) is not None:
                self._keep(key, clause)
            self._asked += 1
            self._hits += clause is not None
            return clause

    def put(self, key: str, clause: Clause) -> None:
        """Keeps a clause; those not used for longest make room."""
        with self._lock:
            self._keep(key, clause)
            if self._disk is not None:
                self._disk.write(key, clause)

    def close(self) -> None:
        """Writes down how often clauses were found."""
        if self._disk is not None:
            self._disk.write_uses(self._hits, self._asked)

    def _keep(self, key: str, clause: Clause) -> None:
        if (replaced := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(replaced)
        self._kept[key] = clause
        self._bytes += _size(clause)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def key_of(*parts: object) -> str:
    """Returns a name for what a clause depends on; the text cannot be read from it."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _size(clause: Clause) -> int:
    return clause.samples.nbytes + _SOUND_BYTES * len(clause.sounds)


class _Disk:
    """Clauses as files, which only their owner can read: a line of JSON, then the samples."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = [(path, path.stat()) for path in folder.glob(f"*{_ENDING}")]
        found.sort(key=lambda pair: pair[1].st_mtime_ns)
        self._sizes = OrderedDict((path.stem, status.st_size) for path, status in found)

    def read(self, key: str) -> Clause | None:
        if key not in self._sizes:
            return None
        try:
            content = self._path(key).read_bytes()
            os.utime(self._path(key))
            head, _, pcm = content.partition(b"\n")
            sounds = tuple(Sound(*sound) for sound in json.loads(head))
            samples = np.frombuffer(pcm, "<i2").astype(np.int16)
            if sounds[-1].end_sample != len(samples):
                raise ValueError("it ends too early")
        except (OSError, ValueError, TypeError, IndexError) as error:
            get_logger().warning("cached clause left out", file=key + _ENDING, fault=str(error))
            self._remove(key)
            return None
        self._sizes.move_to_end(key)
        return Clause(samples, sounds)

    def write(self, key: str, clause: Clause) -> None:
        head = json.dumps([astuple(sound) for sound in clause.sounds]).encode()
        content = head + b"\n" + clause.samples.astype("<i2").tobytes()
        self._write(self._path(key), content)
        self._sizes[key] = len(content)
        while sum(self._sizes.values()) > self._max_bytes:
            self._remove(next(iter(self._sizes)))

    def read_uses(self) -> Sequence[int]:
        try:
            hits, asked = json.loads((self._folder / _USES_FILE).read_text("utf-8"))
            return int(hits), int(asked)
        except (OSError, ValueError, TypeError):
            return 0, 0

    def write_uses(self, hits: int, asked: int) -> None:
        self._write(self._folder / _USES_FILE, json.dumps([hits, asked]).encode())

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_private(path, content)
        except OSError as error:
            get_logger().warning("clause not kept on disk", file=str(path), problem=str(error))

    def _remove(self, key: str) -> None:
        del self._sizes[key]
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_ENDING}"
