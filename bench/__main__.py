"""`python -m bench [PART ...]`: the figures of every part, then of the whole mesh.

With --quick each part runs with its shortest parameters: this shows within a minute that it works,
but the figures mean nothing.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

QUICK: Final[dict[str, tuple[str, ...]]] = {
    "tts": ("--runs", "1"),
    "asr": ("--recordings", "1"),
    "avatar": ("--seconds", "1", "--speed-only", "--no-goals"),
    "memory": ("--calls", "2", "--sizes", "100"),
    "mesh": ("--turns", "1", "--no-goals"),
}
"""The parts in the order in which they run, each with its shortest parameters."""


def chosen(arguments: Sequence[str] | None = None) -> tuple[list[str], bool]:
    """Returns the parts that a command line names (all if none), and whether to be quick."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    # Not with `choices`: Python 3.11 also checks the empty list against them.
    parser.add_argument("parts", nargs="*", type=_part, metavar="PART", help=", ".join(QUICK))
    parser.add_argument("--quick", action="store_true", help="run the shortest form of each part")
    options = parser.parse_args(arguments)
    return list(options.parts or QUICK), options.quick


def _part(name: str) -> str:
    if name not in QUICK:
        raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(QUICK)}")
    return name


def main() -> None:
    """Runs from the command line; exits with an error that names the failed parts."""
    parts, quick = chosen()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    failed = []
    for part in parts:
        print(f"\n== {part}", flush=True)
        # One process per part: peak memory and thread settings must not affect the next part.
        command = [sys.executable, "-m", f"bench.{part}", *(QUICK[part] if quick else ())]
        if subprocess.run(command, check=False).returncode:
            failed.append(part)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
