"""Reads HTML: the visible text of the page, without its navigation."""

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree, html

from memory.knowledge.reading.blocks import Block, Outline, Reading, UnreadableError, bounded

_UNSEEN: Final = (
    *("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas"),
    *("nav", "footer", "aside", "form", "button", "select", "textarea", "dialog"),
)
# Text that is hidden from readers must not reach the model either.
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCK_TAGS: Final = (
    "address article blockquote body caption dd details div dl dt figcaption figure h1 h2 h3 h4 h5"
    " h6 header hgroup hr li main ol p pre section summary table tbody tfoot thead tr ul"
)
_BLOCKS: Final = frozenset(_BLOCK_TAGS.split())
_CELLS: Final = frozenset(("td", "th"))


def read(content: bytes) -> Reading:
    """Reads a page; only its main part, if it marks one.

    Raises:
        UnreadableError: It is not HTML.
    """
    parser = html.HTMLParser(remove_comments=True, remove_pis=True, encoding=_encoding(content))
    try:
        root = html.document_fromstring(content, parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableError(f"it is not readable HTML: {error}") from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise UnreadableError("it is nested more deeply than 255 levels")
    title = " ".join((root.findtext(".//title") or "").split())
    main = root.find(".//main")
    body = main if main is not None else root.find("body")
    blocks = iter(()) if body is None else _blocks(body)
    return Reading(title=title, blocks=bounded(blocks))


def _encoding(content: bytes) -> str | None:
    """Returns UTF-8 if the content is valid UTF-8, else the encoding that the page declares."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _is_unseen(element: Any) -> bool:
    return (
        element.tag in _UNSEEN
        or "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(element.get("style", "")))
    )


def _blocks(body: Any) -> Iterator[Block]:
    outline = Outline()
    text: list[str] = []
    walk = etree.iterwalk(body, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        if _is_unseen(element):
            if event == "start":
                walk.skip_subtree()
            else:
                text.append(element.tail or "")
            continue
        if tag in _BLOCKS:
            said = " ".join("".join(text).split()).strip(" |")
            text.clear()
            if event == "end" and tag in _HEADINGS:
                outline.enter(_HEADINGS[tag], said)
            elif said:
                yield Block(said, outline.headings)
        elif tag == "br":
            text.append(" ")
        elif tag in _CELLS and event == "end":
            text.append(" | ")
        if event == "start":
            text.append(element.text or "")
        elif element is not body:
            text.append(element.tail or "")
