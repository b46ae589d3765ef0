"""Text search that memory and the embedded language engine share: words, vectors, their blend."""
