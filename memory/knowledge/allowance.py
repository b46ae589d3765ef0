"""How many documents a user may have."""

from dataclasses import dataclass

from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import Owner
from services.runtime.errors import Busy
from services.runtime.limits.rates import REFUSED


@dataclass(frozen=True, kw_only=True)
class DocumentAllowance:
    """The limits of the documents of a user; personas have none.

    Attributes:
        documents: The most documents; 0: no limit.
        size_bytes: The most bytes of their files; 0: no limit.
    """

    documents: int = 0
    size_bytes: int = 0

    async def check(self, knowledge: KnowledgeBase, owner: Owner) -> None:
        """Checks that the owner may add a document.

        Raises:
            Busy: It has as many as it may have; only a removal makes room.
        """
        if not owner.user_id or not (self.documents or self.size_bytes):
            return
        count, size_bytes = await knowledge.usage(owner)
        if self.documents and count >= self.documents:
            raise _full(f"{count} documents are stored, at most {self.documents} are allowed")
        if self.size_bytes and size_bytes >= self.size_bytes:
            raise _full(
                f"the documents have {size_bytes} bytes, at most {self.size_bytes} are allowed"
            )


def _full(text: str) -> Busy:
    REFUSED.labels("documents").inc()
    return Busy(f"{text}; remove one first", retry_after_ms=None, reason="TOO_MANY_DOCUMENTS")
