from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.engines.transformers.stops import StopFilter


def passed(stops: list[str], text: str, size: int) -> tuple[str, bool]:
    found = StopFilter(stops)
    parts = [found.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join(parts) + ("" if found.stopped else found.finish()), found.stopped


def test_a_text_ends_before_its_stop() -> None:
    assert passed(["END"], "one EN two END three", 2) == ("one EN two ", True)
    assert passed(["END", "two"], "one two END", 1) == ("one ", True)
    assert passed(["END"], "one EN", 3) == ("one EN", False)
    assert passed([], "one", 1) == ("one", False)


@settings(deadline=None)
@given(st.text(alphabet="abc", max_size=20), st.text(alphabet="ab", min_size=1, max_size=4))
def test_where_pieces_end_makes_no_difference(text: str, stop: str) -> None:
    expected = text.partition(stop)
    for size in (1, 2, 3, 20):
        assert passed([stop], text, size) == (expected[0], bool(expected[1]))
