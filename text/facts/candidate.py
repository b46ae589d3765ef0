"""The findings that a rule can extract from one sentence."""

from dataclasses import dataclass

from text.normal import normalised

USER = "user"
SINGLE_VALUED = frozenset(
    {"name", "home", "origin", "birthplace", "birthday", "birth_year", "age"}
    | {"job", "employer", "studies", "diet"}
)
"""Attributes that have one value at a time; a new value ends the old one."""
OPPOSITES = {"likes": "dislikes", "dislikes": "likes"}
"""Pairs of attributes in which one ends the other for the same value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A fact stated by a sentence."""

    subject: str
    """`USER`, or a relation such as "dog"."""
    attribute: str
    value: str
    text: str
    """The fact as a sentence in the person's words."""
    confidence: float
    extractor: str = ""
    """The extractor with its version; empty means the rules."""

    @property
    def value_key(self) -> str:
        """The key by which values are compared."""
        return key_of(self.value)

    @property
    def is_single_valued(self) -> bool:
        """Whether a new value replaces the old one."""
        return self.attribute in SINGLE_VALUED or self.attribute.startswith("favourite")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """A sentence that states that something is no longer true."""

    attribute: str
    value: str
    """Empty means any value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """A sentence that replaces one value by another: "it is Max, not Rex"."""

    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """A sentence that states that the last answer was wrong."""

    right: str = ""
    """The correct value; empty if the sentence contains none."""
    also_told: bool = False
    """Whether it also covers what the person said in the turn before: "forget that"."""


Finding = Candidate | Ending | Replacement | Denial


def key_of(value: str) -> str:
    """Normalises a value to the key by which it is compared."""
    key = " ".join(normalised(value).split())
    for article in ("the ", "a ", "an "):
        key = key.removeprefix(article)
    return key
