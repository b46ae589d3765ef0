"""The settings of the memory service."""

from typing import ClassVar, Literal

from pydantic import Field

from services.runtime.settings import ServiceSettings


class MemorySettings(ServiceSettings):
    """What the memory service can be told, from `ANIMA_MEMORY_*`."""

    stage: ClassVar[str] = "memory"
    default_port: ClassVar[int] = 50053

    engine: str = "sqlite"
    """The store: "sqlite" is built in."""
    capacity: int = Field(default=64, ge=1, le=10_000)
    """How many calls are served at the same time."""
    synchronous: Literal["full", "normal"] = "full"
    """What acknowledged items survive: "full" power loss, "normal" the death of the process."""
    embedding_model: str = "minilm-l6-v2"
    """The encoder in the model store; "none": search by words alone."""
    index_cache_bytes: int = Field(default=256 * 1024 * 1024, ge=1024, le=1 << 40)
    """How much memory the search indexes of users may take; the least recently used go first."""
    threads: int = Field(default=2, ge=1, le=64)
    """How many threads embed and search."""
    facts: bool = True
    """Whether facts are distilled from what people say."""
    turn_retention_days: int = Field(default=0, ge=0, le=36_500)
    """After how many days what was said is erased, unless a pinned fact comes from it; 0: never."""
    fact_retention_days: int = Field(default=0, ge=0, le=36_500)
    """After how many days a fact that was not told again, or has ended, is erased; 0: never."""
