"""Recall: embeddings, the index, ranking, and whether a turn needs memory at all."""
