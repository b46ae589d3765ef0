"""Text search shared by the memory and the embedded language engine: words, vectors, hybrid."""
