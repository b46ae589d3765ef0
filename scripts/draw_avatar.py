"""Paints the default avatars, in layers, by code alone; they show no real person.

The mouth and the eyes are not painted here: the renderer draws them in every frame.

Run: python -m scripts.draw_avatar [anima] [leo]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scripts import draw_man, draw_woman
from scripts.portrait import Portrait

CHECKOUT = Path(__file__).parent.parent
PORTRAITS: dict[str, tuple[Callable[[], Portrait], Path]] = {
    "anima": (draw_woman.paint, CHECKOUT / "personas" / "anima" / "avatar"),
    "leo": (draw_man.paint, CHECKOUT / "avatars" / "leo"),
}


def main(names: list[str]) -> None:
    """Paints the named portraits, or all, into their packages."""
    for name in names or PORTRAITS:
        paint, folder = PORTRAITS[name]
        paint().save(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
