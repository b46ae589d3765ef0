"""What a rule reads out of one sentence."""

from dataclasses import dataclass

from retrieval.tokeniser import normalised

USER = "user"
SINGLE_VALUED = frozenset(
    {"name", "home", "origin", "birthplace", "birthday", "birth_year", "age"}
    | {"job", "employer", "studies", "diet"}
)
"""Attributes that have one value at a time; a new value ends the old one."""
OPPOSITES = {"likes": "dislikes", "dislikes": "likes"}
"""Attributes of which one ends the other for the same value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A fact that a sentence says."""

    subject: str
    """`USER`, or a relation such as "dog"."""
    attribute: str
    value: str
    text: str
    """The fact as a sentence of the person."""
    confidence: float
    extractor: str = ""
    """What read it, with its version; empty: the rules."""

    @property
    def value_key(self) -> str:
        """By which values are compared."""
        return key_of(self.value)

    @property
    def is_single_valued(self) -> bool:
        """Whether a new value takes the place of the old one."""
        return self.attribute in SINGLE_VALUED or self.attribute.startswith("favourite")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """A sentence that says that something holds no longer."""

    attribute: str
    value: str
    """Empty: whatever it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """A sentence that puts a value in the place of another one: "it is Max, not Rex"."""

    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """A sentence that says that what was just answered is wrong."""

    right: str = ""
    """What is right instead; empty: it does not say."""
    also_told: bool = False
    """Whether what the person told in the turn before is meant as well: "forget that"."""


Finding = Candidate | Ending | Replacement | Denial


def key_of(value: str) -> str:
    """Brings a value into the form by which it is compared."""
    key = " ".join(normalised(value).split())
    for article in ("the ", "a ", "an "):
        key = key.removeprefix(article)
    return key
