"""A decoder process, seen from within.

Requests on stdin: one byte for the operation, four bytes for the length (little-endian), payload.
Answers on stdout, in order: four bytes for the length, JSON; the first one says that the model is
loaded. The process exits at the end of its input.
"""

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Final

REQUEST_HEADER: Final = struct.Struct("<cI")
ANSWER_HEADER: Final = struct.Struct("<I")

Handler = Callable[[bytes, bytes], dict[str, Any]]
"""Called with the operation and the payload of each request; returns the answer."""


def serve(load: Callable[[], Handler]) -> None:
    """Serves on stdin and stdout; output of C libraries is redirected to stderr.

    Args:
        load: Loads the model. A `RuntimeError` or `ValueError` of the handler is an answer.
    """
    # Ctrl-C in a terminal and a supervisor's SIGTERM reach the whole process group, but the service
    # drains its streams first and then closes the input of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):
        _serve(load(), sys.stdin.buffer, answers)
    os._exit(0)  # skips freeing the models, which would only delay the service's exit


def _serve(handle: Handler, requests: BinaryIO, answers: BinaryIO) -> None:
    _answer(answers, {})
    while header := requests.read(REQUEST_HEADER.size):
        operation, length = REQUEST_HEADER.unpack(header)
        payload = requests.read(length)
        try:
            answer = handle(operation, payload)
        except (RuntimeError, ValueError) as error:
            answer = {"error": str(error)}
        _answer(answers, answer)


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    answers.write(ANSWER_HEADER.pack(len(body)) + body)
    answers.flush()
