"""A model that cannot be loaded: the message names memory, or damage, and never the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.config.settings import ServiceSettings
from services.runtime.models.loading import is_out_of_memory, load_fault
from tests.requirements import need

_LOAD = """
import resource, sys
from pathlib import Path
from retrieval.embedding import Embedder
from services.runtime.models.loading import load_fault
more = int(sys.argv[2]) << 20
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
try:
    Embedder(Path(sys.argv[1]))
except Exception as error:
    sys.stdout.write(str(load_fault("minilm-l6-v2", Path(sys.argv[1]), error)))
"""


@pytest.mark.parametrize("mib", [10, 80])
def test_too_small_a_limit_of_memory_is_not_taken_for_damage(mib: int) -> None:
    need("minilm")
    folder = ServiceSettings.from_environment().data_dir / "models" / "minilm-l6-v2"
    said = subprocess.run(
        [sys.executable, "-c", _LOAD, str(folder), str(mib)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "there is not enough memory" in said
    assert "ulimit -v" in said
    assert "models pull" not in said


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(12, "x"), RuntimeError("mmap: Cannot allocate memory")]
)
def test_memory_is_recognised_in_any_form(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_damage_is_not_taken_for_a_lack_of_memory() -> None:
    fault = load_fault("tiny", Path("models/tiny"), RuntimeError("Protobuf parsing failed"))
    assert "remove the folder and run: anima models pull tiny" in str(fault)
    assert not is_out_of_memory(OSError(2, "No such file"))
