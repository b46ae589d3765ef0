"""A mesh as users start it: the process `anima up`, for tests that need the whole mesh."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from cli.mesh.layout import fixed_layout, taken_addresses
from gateway.stages.spec import GATEWAY_PORT, STAGES
from services.runtime.config.settings import CHECKOUT, ServiceSettings
from services.tts.engines.kokoro.model import MODEL_NAME as VOICES
from tests.workers import count, number

READY_TIMEOUT_S = 100.0
KNOWN_VECTORS = CHECKOUT / ".cache" / "test-vectors"
"""Files of services.llm.engines.retrieval.matching.vectors: vectors by the hash of their text."""


@dataclass
class MeshProcess:
    """A running `anima up`."""

    process: subprocess.Popen[str]
    first_port: int
    http_address: str
    logs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def gateway_address(self) -> str:
        return f"127.0.0.1:{self.first_port}"

    def address(self, stage: str) -> str:
        return f"127.0.0.1:{self.first_port + STAGES[stage].default_port - GATEWAY_PORT}"

    @property
    def page(self) -> str:
        return f"http://{self.http_address}/"

    def processes(self) -> list[psutil.Process]:
        """Returns `anima up` and everything that it has started."""
        own = psutil.Process(self.process.pid)
        started = own.children(recursive=True)
        assert len(started) >= len(STAGES) + 1
        return [own, *started]

    def wait_for(
        self, pattern: str, *, occurrence: int = 1, timeout_s: float = READY_TIMEOUT_S
    ) -> None:
        """Waits until a line that fits the pattern has been printed for the n-th time."""

        def seen() -> bool:
            return sum(bool(re.search(pattern, line)) for line in self.lines) >= occurrence

        with self._changed:
            if (
                not self._changed.wait_for(
                    lambda: seen() or self.process.poll() is not None, timeout_s
                )
                or not seen()
            ):
                raise AssertionError(
                    f"{pattern!r} did not appear in:\n" + "".join(self.lines) + self.log_tails()
                )

    def log_tails(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.logs.glob("*.log"))
        )

    def read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def free_first_port() -> int:
    """Finds free ports in a row for a whole mesh, outside the range that the kernel hands out."""
    for _ in range(100):
        # Each process of the run has its own ports.
        port = 20_000 + 10 * (random.randrange(0, 1000 - count(), count()) + number())
        if not taken_addresses(fixed_layout(http_address=f"127.0.0.1:{port + 8}", first_port=port)):
            return port
    raise RuntimeError("no free ports")


def own_data(folder: Path, *, voices: bool = False) -> Path:
    """Makes a data folder with the installed models, known vectors, and an empty memory.

    The natural voices are left out unless they are wanted: how busy the machine is decides whether
    they speak.
    """
    data = folder / "data"
    data.mkdir()
    (data / "models").mkdir(mode=0o700)
    models = ServiceSettings.from_environment().data_dir / "models"
    (data / "llm").mkdir(mode=0o700)
    for file in KNOWN_VECTORS.glob("*.npz"):
        shutil.copy(file, data / "llm")
    for model in models.glob("[!.]*"):
        if voices or model.name != VOICES:
            (data / "models" / model.name).symlink_to(model)
    return data


def _keep_vectors(data: Path) -> None:
    """Keeps what the language model stage has computed of its personas for the next mesh."""
    for file in (data / "llm").glob("*.npz"):
        kept = KNOWN_VECTORS / file.name
        if not kept.exists() or kept.read_bytes() != file.read_bytes():
            KNOWN_VECTORS.mkdir(parents=True, exist_ok=True)
            own = kept.with_suffix(f".{os.getpid()}")
            shutil.copy(file, own)
            own.replace(kept)


@contextmanager
def running_mesh(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    command: Sequence[str] = (sys.executable, "-m", "cli"),
    cwd: Path | None = None,
    voices: bool = False,
) -> Iterator[MeshProcess]:
    """Runs `anima up` on free ports, and stops it as Ctrl-C would."""
    port = free_first_port()
    http_address = f"127.0.0.1:{port + 8}"
    data = own_data(folder, voices=voices)
    process = subprocess.Popen(
        [
            *command,
            "up",
            "--http",
            http_address,
            "--first-port",
            str(port),
            "--logs",
            str(folder),
        ],
        env={**os.environ, "COLUMNS": "200", "ANIMA_DATA_DIR": str(data), **(environment or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    mesh = MeshProcess(
        process=process,
        first_port=port,
        http_address=http_address,
        logs=folder,
        environment=environment or {},
    )
    assert process.stderr is not None
    reader = threading.Thread(target=mesh.read, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        mesh.wait_for("Talk to Anima")
        yield mesh
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(10)
        process.stderr.close()
        _keep_vectors(data)
