"""The settings of the memory service."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from memory.sqlite.encryption import Key, read_key
from services.runtime.settings import ServiceSettings


class MemorySettings(ServiceSettings):
    """What the memory service can be told, from `ANIMA_MEMORY_*`."""

    stage: ClassVar[str] = "memory"
    default_port: ClassVar[int] = 50053

    engine: str = "sqlite"
    """The store: "sqlite", a file, is built in; "postgres" serves several memory services."""
    postgres: str = Field(default="", repr=False)
    """Where the engine "postgres" finds its database: postgresql://user:password@host:port/name."""
    postgres_file: Path | None = None
    """A file that holds this address, which may have a password."""
    key: str = Field(default="", repr=False)
    """Encrypts the database of the engine "sqlite": 64 hexadecimal digits; empty: it is plain."""
    key_file: Path | None = None
    """A file that holds this key; `anima memory new-key FILE` makes one."""
    capacity: int = Field(default=64, ge=1, le=10_000)
    """How many calls are served at the same time."""
    synchronous: Literal["full", "normal"] = "full"
    """What acknowledged items survive: "full" power loss, "normal" the death of the process."""
    embedding_model: str = "minilm-l6-v2"
    """The encoder in the model store; "none": search by words alone."""
    embeddings: str = ""
    """LangChain embeddings instead of it, "module:attribute"; see docs/langchain.md."""
    index_cache_bytes: int = Field(default=256 * 1024 * 1024, ge=1024, le=1 << 40)
    """How much memory the search indexes of users may take; the least recently used go first."""
    threads: int = Field(default=2, ge=1, le=64)
    """How many threads embed and search."""
    facts: bool = True
    """Whether facts are distilled from what people say."""
    llm_target: str = ""
    """The address of an llm stage that reads facts out of turns, over gRPC; empty: rules do."""
    llm_token: str | None = Field(default=None, repr=False)
    """What this stage demands of callers."""
    forget_facts: Literal["off", "end", "erase"] = "end"
    """What becomes of facts that were long neither told nor used, unless pinned: nothing, an end of
    their validity, or they are erased."""
    fact_half_life_days: int = Field(default=180, ge=1, le=36_500)
    """In which the strength of a fact that is neither told nor used halves; see docs/memory.md."""
    condense_turns: int = Field(default=40, ge=0, le=1_000_000)
    """With more old turns than this, a person's old turns are condensed; 0: never."""
    condense_days: int = Field(default=30, ge=1, le=36_500)
    """From which age turns are old enough to be condensed; they stay beside their summary."""
    turn_retention_days: int = Field(default=0, ge=0, le=36_500)
    """After how many days what was said is erased, unless a pinned fact comes from it; 0: never."""
    fact_retention_days: int = Field(default=0, ge=0, le=36_500)
    """After how many days a fact that was not told again, or has ended, is erased; 0: never."""

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        if self.postgres and self.postgres_file is not None:
            raise ValueError("postgres and postgres_file are both set; set one of them")
        if self.engine == "postgres" and not self.postgres_address():
            raise ValueError(
                "postgres: the engine postgres needs ANIMA_MEMORY_POSTGRES, as"
                " postgresql://user:password@host:port/name, or ANIMA_MEMORY_POSTGRES_FILE"
            )
        return self

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.key and self.key_file is not None:
            raise ValueError("key and key_file are both set; set one of them")
        if self.encryption_key() is not None and self.engine != "sqlite":
            raise ValueError(
                f"key: the engine {self.engine} does not encrypt: let its server do it"
            )
        return self

    def encryption_key(self) -> Key | None:
        """Gives the key of the database of the engine "sqlite"; None: it is not encrypted.

        Raises:
            ValueError: What is set is no key.
        """
        if self.key_file is not None:
            return read_key(self.key_file)
        return Key(self.key) if self.key else None

    def postgres_address(self) -> str:
        """Gives the address of the database of the engine "postgres"; a secret.

        Raises:
            ValueError: Its file cannot be read.
        """
        if self.postgres_file is None:
            return self.postgres
        try:
            return self.postgres_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"postgres_file: {self.postgres_file} cannot be read") from error
