"""The process that holds the model."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from services.llm.engines.gguf.options import LIBRARY, GgufOptions
from services.llm.engines.gguf.worker import Report, WorkerSettings
from services.runtime.errors import FailedPrecondition
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

_WORKER: Final = "services.llm.engines.gguf.worker"
_SOCKET: Final = "model.sock"
_ERROR_CHARS: Final = 4_000
_SHOWN_CHARS: Final = 600


class ModelProcess:
    """Starts the process, waits until the model is loaded, and ends it.

    Attributes:
        folder: A private folder in which the process keeps its socket and saved prompts.
    """

    def __init__(self, options: GgufOptions) -> None:
        self._options = options
        # Not in the data folder: a socket's path may have only about a hundred characters.
        self.folder = Path(tempfile.gettempdir()) / f"anima-gguf-{secrets.token_hex(8)}"
        self._process: Process | None = None
        self._errors = ""
        self._tasks = Tasks("gguf process")
        self._reading: asyncio.Task[None] | None = None

    @property
    def socket(self) -> Path:
        """The socket of the HTTP server."""
        return self.folder / _SOCKET

    @property
    def pid(self) -> int | None:
        """Its process id; None if it is not running."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Starts it and loads the model.

        Raises:
            FailedPrecondition: The model cannot be loaded.
        """
        await self.stop()
        file = await asyncio.to_thread(self._options.file)
        vision = await asyncio.to_thread(self._options.vision_file)
        settings = WorkerSettings(
            model=str(file),
            vision_model=str(vision or ""),
            folder=str(self.folder),
            socket=_SOCKET,
            context_tokens=self._options.context_tokens,
            slots=self._options.slots,
            threads=self._options.threads,
            gpu_layers=self._options.gpu_layers,
        )
        self._errors = ""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _WORKER),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
        )
        self._process = process
        self._reading = self._tasks.start(self._read_errors(process), name="gguf errors")
        failure = await self._load(process, settings)
        if failure:
            await self.stop()
            raise FailedPrecondition(
                f"ANIMA_LLM_MODEL: {LIBRARY} {version(LIBRARY)} cannot load {file}: {failure}",
                reason="MODEL",
            )

    async def stop(self) -> None:
        """Ends it at once."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._tasks.close()

    async def close(self) -> None:
        """Ends it and deletes its folder."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def ended(self) -> str:
        """Waits until it ends by itself; returns its exit code and last errors, in words."""
        if self._process is None:
            return "it is not running"
        return await self._end_of(self._process)

    def memory_mb(self) -> int | None:
        """Returns its memory including the model file, MB; None where the system does not tell."""
        if self._process is None:
            return None
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20

    async def _load(self, process: Process, settings: WorkerSettings) -> str:
        """Returns why the model could not be loaded; empty: it is loaded."""
        told, answers = cast("StreamWriter", process.stdin), cast("StreamReader", process.stdout)
        try:
            async with asyncio.timeout(self._options.load_timeout_s):
                told.write(json.dumps(asdict(settings)).encode() + b"\n")
                await told.drain()
                line = await answers.readline()
        except TimeoutError:
            return f"it was not loaded within {self._options.load_timeout_s:g} s"
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line:  # llama.cpp aborts its process for some broken files
            return f"its process ended with {await self._end_of(process)}"
        failure = Report(**json.loads(line)).failure
        return f"{failure} ({await self._end_of(process)})" if failure else ""

    async def _end_of(self, process: Process) -> str:
        code = await process.wait()
        if self._reading is not None:
            await asyncio.wait([self._reading])
        return f"exit code {code}. {' '.join(self._errors.split())[-_SHOWN_CHARS:]}".strip()

    async def _read_errors(self, process: Process) -> None:
        errors = cast("StreamReader", process.stderr)
        while piece := await errors.read(_ERROR_CHARS):
            text = piece.decode("utf-8", "replace")
            self._errors = (self._errors + text)[-_ERROR_CHARS:]
            get_logger().debug("model process", said=text.strip())


def _environment() -> dict[str, str]:
    """Returns the environment without our secrets and llama.cpp's variables for Google's cloud."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("ANIMA_", "AIP_"))
    }
