"""Embeds items that have no vector of the current encoder, because another one was used."""

from collections.abc import Sequence

from memory.items.item import searched_text
from memory.search.encoder import Encoder
from memory.service.attempts import Attempts, Run
from memory.store import IndexRow, Truth, Vector
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

_BATCH = 64


class Pending:
    """The users whose items are still being embedded. Thread-safe.

    Items with a vector would displace those without one, so these users are searched by words
    alone until all of their items have one.
    """

    def __init__(self) -> None:
        self._users: set[str] = set()

    def __contains__(self, user_id: object) -> bool:
        """Whether some items of a user still wait for their vectors."""
        return user_id in self._users

    def begin(self, user_ids: Sequence[str]) -> None:
        """Adds users."""
        self._users = set(user_ids)

    def done(self, user_id: str) -> None:
        """Removes a user."""
        self._users.discard(user_id)


class ReEmbedding:
    """Embeds items without a vector, user by user; an item that fails does not block the others."""

    def __init__(
        self,
        store: Truth,
        embedder: Encoder,
        pending: Pending,
        *,
        reading: Compute,
        writing: Compute,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._pending = pending
        self._reading = reading
        self._writing = writing
        self._attempts = Attempts(store, "vectors", embedder.model_id)

    async def run(self) -> None:
        """Embeds everything once; failures are logged and retried at the next start."""
        run = Run(self._attempts, self._writing)
        try:
            aside = await self._reading.run(self._attempts.set_aside)
            users = await self._reading.run(
                self._store.users_without_vectors, self._embedder.model_id
            )
            self._pending.begin(users)
            for user_id in users:
                await self._embed_user(run, user_id, aside)
            await run.end()
        except Exception as error:  # the memory also works without
            get_logger().error("embedding of earlier items stopped", exc_info=error)
            return
        if users:
            get_logger().info("items embedded again", users=len(users))

    async def _embed_user(self, run: Run, user_id: str, aside: set[int]) -> None:
        state = await self._reading.run(self._store.user_state, user_id)
        if state is not None:
            rows = await self._reading.run(
                self._store.index_rows, state, 0, self._embedder.model_id
            )
            rest = [row for row in rows if row.vector is None and row.row_id not in aside]
            for start in range(0, len(rest), _BATCH):
                await self._embed(run, user_id, rest[start : start + _BATCH])
            if rest:
                # Once for all of them: the index of an active user is built again each time.
                await self._writing.run(self._store.raise_revision, user_id)
        self._pending.done(user_id)

    async def _embed(self, run: Run, user_id: str, rows: Sequence[IndexRow]) -> None:
        try:
            vectors = await self._reading.run(self._vectors, rows)
        except Exception as error:
            if len(rows) == 1:
                await run.failed([rows[0].row_id], error)
                return
            for row in rows:  # finds the one that fails
                await self._embed(run, user_id, [row])
            return
        pairs = list(zip((row.row_id for row in rows), vectors, strict=True))
        await self._writing.run(self._store.put_vectors, user_id, pairs, self._embedder.model_id)
        await run.succeeded()

    def _vectors(self, rows: Sequence[IndexRow]) -> list[Vector]:
        texts = [searched_text(row.speaker_name, row.text) for row in rows]
        return list(self._embedder.embed(texts))
