"""Why the files of a model cannot be loaded, and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from services.runtime.config.settings import SettingsError

# onnxruntime, tokenizers and OpenCV report it in words only.
_NO_MEMORY: Final = ("bad_alloc", "cannot allocate memory", "out of memory", "insufficient memory")


def load_fault(name: str, folder: Path, error: Exception) -> SettingsError:
    """Returns the error to raise when a library cannot load a model: no memory, or damage.

    Args:
        name: The name of the model, for `anima models pull`.
        folder: Its files.
        error: What the library has raised.
    """
    if is_out_of_memory(error):
        return SettingsError(
            f"the model {name} cannot be loaded: there is not enough memory for it ({error}); "
            "free memory, raise the limit of this process (ulimit -v, or the container's), or run "
            "fewer services on this machine"
        )
    return SettingsError(
        f"the model files in {folder} cannot be loaded: {error}; "
        f"remove the folder and run: anima models pull {name}"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Reports whether an exception of any library says that memory is short."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in _NO_MEMORY)
