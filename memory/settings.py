"""The settings of the memory service."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from memory.sqlite.checking import START_CHECK_S
from memory.sqlite.encryption import Key, read_key
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings, Target


class MemorySettings(ServiceSettings):
    """The settings of the memory service, `ANIMA_MEMORY_*`."""

    stage: ClassVar[str] = "memory"
    default_port: ClassVar[int] = 50053

    engine: str = "sqlite"
    """The store: "sqlite", a file, is built in; "postgres" lets several memory services share one
    database."""
    postgres: str = Field(default="", repr=False)
    """The database of the engine "postgres": postgresql://user:password@host:port/name."""
    postgres_file: Path | None = None
    """A file that contains this address, which may contain a password."""
    key: str = Field(default="", repr=False)
    """The key that encrypts the database of the engine "sqlite", 64 hexadecimal digits; empty: the
    database is not encrypted."""
    key_file: Path | None = None
    """A file that contains this key; `anima memory new-key FILE` creates one."""
    capacity: int = Field(default=64, ge=1, le=10_000)
    """How many calls are served at the same time."""
    synchronous: Literal["full", "normal"] = "full"
    """The failures that acknowledged items survive: "full", a power failure; "normal", the death of
    the process."""
    start_check_s: float = Field(default=START_CHECK_S, ge=0, le=3_600, allow_inf_nan=False)
    """The time limit of the engine "sqlite" for finding damaged pages at start; `anima memory
    check` checks all of them."""
    reserve_bytes: int = Field(default=16 * 1024 * 1024, ge=0, le=1 << 40)
    """The space that the engine "sqlite" keeps free in a file, so that data can be erased on a full
    disk; at most a quarter of the free space. 0: none."""
    embedding_model: str = DEFAULT_ENCODER
    """The encoder in the model store; "minilm-l6-v2" knows English only; "none": search by words
    alone."""
    embeddings: str = ""
    """LangChain embeddings to use instead, "module:attribute"; see docs/langchain.md."""
    index_cache_bytes: int = Field(default=256 * 1024 * 1024, ge=1024, le=1 << 40)
    """The memory for the search indexes of users; the least recently used ones are dropped
    first."""
    documents_per_user: int = Field(default=1_000, ge=0, le=1_000_000)
    """The most documents of a user; personas have no limit. 0: no limit."""
    document_bytes_per_user: int = Field(default=1024**3, ge=0, le=1 << 40)
    """The most bytes of the files of a user's documents. 0: no limit."""
    remembered_bytes_per_day: int = Field(default=64 * 1024 * 1024, ge=0, le=1 << 40)
    """The most bytes that are remembered or imported for a user in a day. 0: no limit."""
    threads: int = Field(default=2, ge=1, le=64)
    """How many threads embed and search."""
    facts: bool = True
    """Whether facts are extracted from what people say."""
    llm_target: Target = ""
    """The address of an llm service that extracts the facts, over gRPC; empty: rules extract
    them."""
    llm_token: str | None = Field(default=None, repr=False)
    """The token that this service requires."""
    forget_facts: Literal["off", "end", "erase"] = "end"
    """What happens to facts that have long been neither stated nor used and are not pinned: nothing
    ("off"), their validity ends ("end"), or they are erased ("erase")."""
    fact_half_life_days: int = Field(default=180, ge=1, le=36_500)
    """The time in which the strength of a fact that is neither stated nor used halves; see
    docs/memory.md."""
    condense_turns: int = Field(default=40, ge=0, le=1_000_000)
    """A person with more old turns than this gets summaries of them; 0: never."""
    condense_days: int = Field(default=30, ge=1, le=36_500)
    """The age from which turns are old enough to be summarised; they are kept."""
    turn_retention_days: int = Field(default=0, ge=0, le=36_500)
    """Turns are erased after this many days, unless a pinned fact comes from them; 0: never."""
    fact_retention_days: int = Field(default=0, ge=0, le=36_500)
    """A fact that was not stated again, or has ended, is erased after this many days; 0: never."""

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
                f"key: the engine {self.engine} does not encrypt; encrypt on its server instead"
            )
        return self

    def encryption_key(self) -> Key | None:
        """Returns the key of the database of the engine "sqlite"; None if it is not encrypted.

        Raises:
            ValueError: The value is not a valid key.
        """
        if self.key_file is not None:
            return read_key(self.key_file)
        return Key(self.key) if self.key else None

    def postgres_address(self) -> str:
        """Returns the address of the database of the engine "postgres", which is a secret.

        Raises:
            ValueError: Its file cannot be read.
        """
        if self.postgres_file is None:
            return self.postgres
        try:
            return self.postgres_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"postgres_file: {self.postgres_file} cannot be read") from error
