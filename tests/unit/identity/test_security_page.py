"""docs/security.md shows the table of permissions as it is."""

from __future__ import annotations

from scripts.gen_security import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python scripts/gen_security.py"
