"""Runs llama.cpp's server for one model: `python -m services.llm.engines.gguf.worker`.

The first line of its input is a JSON object, the fields of `WorkerSettings`. It answers with one
line, a `Report`, once the model is loaded or has failed to load, and ends when its input does, so
that it never outlives the service. Its HTTP server listens on a Unix socket only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from services.runtime.process.private_files import keep_private

BATCH_TOKENS: Final = 128
"""Tokens of a prompt that are computed at once. More are not faster on a CPU, and a cancelled
question occupies the model until its batch is complete."""
_CHECKPOINTS: Final = 4
"""States that are kept of models with recurrent layers or sliding windows, per slot: they cannot
go back to an earlier token otherwise."""
_ERRORS_ONLY: Final = 1


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What the process is told at its start.

    Attributes:
        model: The path of the model file.
        vision_model: The path of the part that sees; empty: there is none.
        folder: A private folder, for the socket and for saved prompts.
        socket: The name of the socket; it ends with ".sock".
        context_tokens: The context of each slot.
        slots: The number of slots.
        threads: CPU threads.
        gpu_layers: See `GgufOptions`.
    """

    model: str
    vision_model: str
    folder: str
    socket: str
    context_tokens: int
    slots: int
    threads: int
    gpu_layers: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the process answers.

    Attributes:
        failure: Why the model could not be loaded; empty: it is loaded.
    """

    failure: str = ""


def main() -> int:
    """Runs until the input ends; returns the exit code."""
    keep_private()
    # A terminal sends Ctrl-C to the whole group; the service then completes its answers first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    settings = WorkerSettings(**json.loads(sys.stdin.readline()))
    try:
        server = _server(settings)
    except Exception as error:  # the library raises errors of several types
        _say(Report(failure=str(error) or type(error).__name__))
        return 1
    _say(Report())
    sys.stdin.read()
    shutil.rmtree(settings.folder, ignore_errors=True)
    # Deleting the server would first complete the answers in progress, which nobody reads any more.
    os._exit(0 if server is not None else 1)


def _say(report: Report) -> None:
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    sys.stdout.flush()


def _server(settings: WorkerSettings) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings.model
    if settings.vision_model:
        params.mmproj.path = settings.vision_model
    params.n_gpu_layers = settings.gpu_layers
    params.n_ctx = settings.context_tokens * settings.slots
    params.n_parallel = settings.slots
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.fit_params = False  # it would shorten the context silently
    params.use_jinja = True  # the model's own chat template, and the grammar of its tool calls
    params.hostnames = [f"{settings.folder}/{settings.socket}"]
    params.slot_save_path = f"{settings.folder}/"
    params.slot_prompt_similarity = 0.0  # the service chooses the slot
    # Prompts are kept in slots only: a cache of all of them would answer one user faster if another
    # one has said the same.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = _CHECKPOINTS
    params.verbosity = _ERRORS_ONLY
    params.endpoint_metrics = False
    params.ui = False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    sys.exit(main())
