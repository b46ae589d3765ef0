"""The names of tags that are markup: those of HTML, and those of speech markup."""

from __future__ import annotations

from typing import Final

from markdown_it.common.html_blocks import block_names

_INLINE: Final = (
    "a abbr acronym audio b bdi bdo big br button canvas cite code data del dfn em font i img input"
    " ins kbd label mark picture q rp rt ruby s samp script small span strike strong sub sup svg"
    " template textarea time tt u var video wbr"
)
_SPEECH: Final = (
    "break emphasis laugh laughter chuckle sigh cough sniffle groan yawn gasp phoneme prosody"
    " say-as speak voice"
)
NAMES: Final = frozenset([*block_names, *_INLINE.split(), *_SPEECH.split()])
"""A tag with another name is text, as in `List<int>` and `<your name>`."""
BREAKS: Final = frozenset(
    ["br", "p", "div", "li", "td", "th", "tr", "ul", "ol", "table", "hr", "break"]
    + [f"h{level}" for level in range(1, 7)]
)
"""Tags that separate what is before from what follows."""
