"""Embeds items that have no vector of the present encoder: it was missing or another one then."""

from memory.item import searched_text
from memory.search.encoder import Encoder
from memory.store import Truth
from services.runtime.compute import Compute
from services.runtime.logs import get_logger

_BATCH = 64


async def embed_rest(
    store: Truth, embedder: Encoder, *, reading: Compute, writing: Compute
) -> None:
    """Embeds all that lacks a vector; what fails is logged, and the next start tries again."""
    try:
        await _embed_users(store, embedder, reading, writing)
    except Exception as error:  # the memory works without
        get_logger().error("embedding of earlier items stopped", exc_info=error)


async def _embed_users(store: Truth, embedder: Encoder, reading: Compute, writing: Compute) -> None:
    users = await reading.run(store.users_without_vectors, embedder.model_id)
    for user_id in users:
        state = await reading.run(store.user_state, user_id)
        if state is None:
            continue
        rows = await reading.run(store.index_rows, state, 0, embedder.model_id)
        rest = [row for row in rows if row.vector is None]
        for start in range(0, len(rest), _BATCH):
            batch = rest[start : start + _BATCH]
            texts = [searched_text(row.speaker_name, row.text) for row in batch]
            vectors = await reading.run(embedder.embed, texts)
            pairs = list(zip((row.row_id for row in batch), vectors, strict=True))
            await writing.run(store.put_vectors, user_id, pairs, embedder.model_id)
    if users:
        get_logger().info("items embedded anew", users=len(users))
