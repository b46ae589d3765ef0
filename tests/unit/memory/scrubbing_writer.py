"""Writes and scrubs a store until it is killed; prints the number of each acknowledged item."""

import sys
import threading
from pathlib import Path

from memory.sqlite.store import Store
from tests.unit.memory.items import make_item


def main(folder: Path, first: int) -> None:
    store = Store(folder)

    def scrub() -> None:
        while True:
            store.forget_items("other", ["none"])
            store.scrub()

    store.add("other", [make_item(f"i{n}", "x" * 500) for n in range(500)], [None] * 500, "")
    threading.Thread(target=scrub, daemon=True).start()
    number = first
    while True:
        store.add("u", [make_item(f"{number}", f"text {number}")], [None], "")
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
