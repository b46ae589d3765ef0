"""Other frameworks on our workload, each in its own process in a separate environment."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.orchestrating.orchestration_turn import TurnFigures

_ROOT: Final = Path(__file__).parent.parent
_PYTHON: Final = _ROOT / ".cache" / "bench-env" / "bin" / "python"
_TIMEOUT_S: Final = 300.0

FRAMEWORKS: Final = {
    "pipecat-ai 1.14.0": "bench.orchestrating.beside_pipecat",
    "livekit-agents 1.8.9": "bench.orchestrating.beside_livekit",
}


@dataclass(kw_only=True)
class Made:
    """All turns for one number of sessions, unpaced, seconds.

    Attributes:
        first_s: The time from the question to the first audio.
        done_s: The time from the question to the end of the audio.
        cpu_s: Processor time of the measured process.
        others_cpu_s: Processor time of the other processes that it needs.
    """

    first_s: list[float] = field(default_factory=list)
    done_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    others_cpu_s: float = 0.0

    def add(self, turns: Sequence[TurnFigures]) -> None:
        """Adds turns."""
        self.first_s += [each.first_audio_s for each in turns]
        self.done_s += [each.done_s for each in turns]

    def join(self, more: Made) -> None:
        """Adds the turns of another round."""
        self.first_s += more.first_s
        self.done_s += more.done_s
        self.cpu_s += more.cpu_s
        self.others_cpu_s += more.others_cpu_s

    @property
    def cpu_s_per_turn(self) -> float:
        """The processor time of one turn."""
        return self.cpu_s / len(self.first_s)


def installed() -> bool:
    """Returns whether the frameworks are installed and can be measured."""
    return (_PYTHON.parent.parent / ".installed").exists()


async def beside(module: str, *, count: int, repeats: int) -> Made:
    """Measures one framework.

    Raises:
        RuntimeError: It failed; the text is the end of its error output.
    """
    process = await asyncio.create_subprocess_exec(
        str(_PYTHON),
        *("-m", module, str(repeats), str(count)),
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"{module} did not finish within {_TIMEOUT_S:g} s") from None
    if process.returncode:
        raise RuntimeError(f"{module} failed:\n{errors.decode()[-2000:]}")
    made = Made()
    for line in output.decode().splitlines():
        run = json.loads(line)
        made.first_s += [turn["first_audio_s"] for turn in run["turns"]]
        made.done_s += [turn["done_s"] for turn in run["turns"]]
        made.cpu_s += run["cpu_s_per_turn"] * run["count"]
    return made
