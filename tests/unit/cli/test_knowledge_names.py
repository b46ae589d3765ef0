"""Documents are found by the names that people know, and distinguished if these are alike."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from anima.memory import v1 as wire
from cli.knowledge.names import AmbiguousError, NoDocumentError, place_of, short_ids, table, the_one

FM = wire.Document(
    document_id="ab" * 16, title="Front matter", source_uri="file:///tmp/q/fm.md", passage_count=3
)
FIRST = wire.Document(document_id="cd" * 16, title="a", source_uri="file:///home/ada/one/a.txt")
SECOND = wire.Document(
    document_id="cde" * 10 + "ff", title="a", source_uri="file:///home/ada/some%20where/a.txt"
)
PAGE = wire.Document(
    document_id="ef" * 16, title="The pool", source_uri="https://example.org/rules/pool.html?x=1"
)
SENT = wire.Document(document_id="01" * 16, title="Sent by a program")
ALL = [FM, FIRST, SECOND, PAGE, SENT]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("Front matter", FM),
        ("front MATTER", FM),
        ("fm.md", FM),
        ("fm", FM),
        ("/tmp/q/fm.md", FM),
        ("file:///tmp/q/fm.md", FM),
        ("ab" * 16, FM),
        ("abab", FM),
        ("/home/ada/some where/a.txt", SECOND),
        ("cdcd", FIRST),
        ("pool.html", PAGE),
        ("pool", PAGE),
        ("https://example.org/rules/pool.html?x=1", PAGE),
        ("Sent by a program", SENT),
    ],
)
def test_a_document_is_found(name: str, document: wire.Document) -> None:
    assert the_one(ALL, name) == document


def test_an_exact_title_wins_over_a_file_name() -> None:
    titled = wire.Document(document_id="23" * 16, title="fm", source_uri="file:///b.md")
    assert the_one([*ALL, titled], "fm") == titled


@pytest.mark.parametrize("name", ["a", "a.txt", "cd"])
def test_documents_that_are_named_alike_are_told_apart(name: str) -> None:
    with pytest.raises(AmbiguousError) as caught:
        the_one(ALL, name)
    text = str(caught.value)
    assert f"2 documents match {name}" in text
    ids = short_ids(ALL)
    assert f"{ids[FIRST.document_id]}  /home/ada/one/a.txt" in text
    assert f"{ids[SECOND.document_id]}  /home/ada/some where/a.txt" in text


@pytest.mark.parametrize("name", ["", "nothing", "ab" * 17, "ef", "/tmp"])
def test_a_name_of_no_document(name: str) -> None:
    with pytest.raises(NoDocumentError):
        the_one([FM, FIRST, SECOND, SENT], name)


def test_short_ids_are_as_long_as_it_takes() -> None:
    ids = short_ids(ALL)
    assert ids[FM.document_id] == "abababab"
    same = [
        wire.Document(document_id="0123456789" + "a" * 22),
        wire.Document(document_id="0123456789" + "b" * 22),
    ]
    assert sorted(short_ids(same).values()) == ["0123456789a", "0123456789b"]
    assert short_ids([]) == {}


def test_a_place_is_what_people_would_type() -> None:
    assert place_of(SECOND) == "/home/ada/some where/a.txt"
    assert place_of(PAGE) == "https://example.org/rules/pool.html?x=1"
    assert place_of(SENT) == ""


@pytest.mark.parametrize("width", [80, 120, 300])
def test_the_list_cuts_nothing(width: int) -> None:
    long = wire.Document(
        document_id="45" * 16,
        title="A title that is much longer than its column can be at this width",
        source_uri="file:///home/ada/documents/of/a/very/deep/folder/with-a-long-name/handbook.pdf",
        page_count=12,
        passage_count=345,
        added_unix_ms=1_700_000_000_000,
    )
    documents = [*ALL, long]
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, soft_wrap=True).print(table(documents, width))
    printed = file.getvalue()
    assert "…" not in printed
    assert max(len(line) for line in printed.splitlines()) <= width
    ids = short_ids(documents)
    for each in documents:
        assert ids[each.document_id] in printed
    columns = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    assert place_of(long) in "".join(cells[2].strip() for cells in columns)
    assert "2023-11-14" in printed
