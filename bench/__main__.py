"""`python -m bench`: the figures of every part and then of the whole mesh, on this machine."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from typing import Final

PARTS: Final = ("tts", "asr", "avatar", "memory", "mesh")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, choices=[*PARTS, []], metavar="PART")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    failed = []
    for part in parser.parse_args().parts:
        print(f"\n== {part}", flush=True)
        # A process each: peak memory and thread settings of one part must not colour the next.
        if subprocess.run([sys.executable, "-m", f"bench.{part}"], check=False).returncode:
            failed.append(part)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
