"""Talks of long ago, in English and Chinese."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from anima.memory.v1 import ITEM_KIND_SUMMARY, SPEAKER_ASSISTANT
from memory.items.item import Item
from memory.reflection.job import Reflection
from memory.reflection.llm_condenser import LlmCondenser
from memory.reflection.tables import SummaryTables
from memory.search.encoder import Encoder
from memory.store import Truth
from services.runtime.process.compute import Compute
from tests.unit.memory.items import make_item

DAY_MS = 86_400_000
MAY_3 = 20_576
"""3 May 2026, in days since 1970-01-01."""
GARDEN = (
    "Hello.",
    "I planted tomatoes in my garden behind the house.",
    "The tomatoes in my garden grow well this year.",
    "Do you know how tomatoes grow?",
    "A:Tomatoes need sun and water.",
    "My neighbour Otto waters the garden and the tomatoes when I am away.",
    "A:That is kind.",
)
CELLO = (
    "我在业余乐团拉大提琴。",
    "乐团每个星期三晚上排练大提琴。",
    "A:听起来不错。",
    "下个月乐团要在音乐厅演出。",
)


def talk(prefix: str, said: tuple[str, ...], *, day: int, session: str) -> list[Item]:
    """Makes the turns of a session; those that begin with "A:" are answers."""
    items = [
        make_item(
            f"{prefix}{n}",
            text.removeprefix("A:"),
            session_id=session,
            created_unix_ms=day * DAY_MS + n,
        )
        for n, text in enumerate(said)
    ]
    return [
        replace(item, speaker=SPEAKER_ASSISTANT) if text.startswith("A:") else item
        for item, text in zip(items, said, strict=True)
    ]


def hear(store: Truth, items: list[Item], user: str = "u") -> None:
    store.add(user, items, [None] * len(items), "")


def summaries(store: Truth, user: str = "u") -> list[Item]:
    """Returns the summaries of a user by day, those of a day by session."""
    rows = store.slice(user, after=None, limit=99, newest_first=False, kinds=[ITEM_KIND_SUMMARY])
    items = [item for _, item in rows]
    return sorted(items, key=lambda item: (item.created_unix_ms // DAY_MS, item.session_id))


@contextmanager
def reflecting(
    store: Truth,
    *,
    day: int,
    more_than: int = 5,
    older_than: int = 30,
    encoder: Encoder | None = None,
    llm_condenser: LlmCondenser | None = None,
) -> Iterator[Reflection]:
    """Makes the job with a clock that is fixed at noon of a day."""
    writing = Compute(threads=1, name="test")
    yield Reflection(
        SummaryTables(store),
        encoder=encoder,
        writing=writing,
        more_than_turns=more_than,
        older_than_days=older_than,
        llm_condenser=llm_condenser,
        now_unix_ms=lambda: day * DAY_MS + DAY_MS // 2,
    )
    writing.close()
