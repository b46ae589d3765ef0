"""Models in onnxruntime, with an inner tensor as one more output."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from services.runtime.observing.logs import get_logger

_SHRINKING: Final = "memory.enable_memory_arena_shrinkage"


class Session:
    """A model on the processor that holds little memory between calls.

    Args:
        path: An ONNX file.
        threads: For one call.
        more_output: A tensor that the graph computes anyway, to be returned too; at most 100
            characters. Empty: none.
    """

    def __init__(self, path: Path, *, threads: int, more_output: str = "") -> None:
        from services.runtime.onnx import onnxruntime

        more = _output(more_output) if more_output else b""
        self._session = _from_file(path, more, threads) or _session(
            path.read_bytes() + more, threads
        )
        # The memory for a long phrase would otherwise be kept: 400 MB after one of 200 symbols.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry(_SHRINKING, "cpu:0")

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Computes outputs from inputs, by name; may be called from several threads."""
        found: list[Any] = self._session.run(list(outputs), dict(inputs), self._run_options)
        return found


def _from_file(path: Path, more: bytes, threads: int) -> Any:
    """Returns a session that does not keep the bytes of its model; None: no file can be made."""
    try:
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            with path.open("rb") as source:
                shutil.copyfileobj(source, file)
            file.write(more)
            file.flush()
            return _session(file.name, threads)
    except OSError as error:
        get_logger().info("a model is opened from memory", model=str(path), why=str(error))
        return None


def _session(model: str | bytes, threads: int) -> Any:
    from services.runtime.onnx import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the cores on which the face is drawn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _output(name: str) -> bytes:
    """Returns what makes a tensor an output, to be appended to an ONNX file.

    In protobuf, files joined end to end are one message in which repeated fields are joined. So the
    output is added as a second ModelProto behind the first, with no need to decode 92 MB.
    """
    value_info = _field(1, name.encode())  # ValueInfoProto.name
    return _field(7, _field(12, value_info))  # ModelProto.graph, GraphProto.output


def _field(number: int, content: bytes) -> bytes:
    """Encodes a short length-delimited field of protobuf."""
    return bytes([number << 3 | 2, len(content)]) + content
