"""The language-model stage: answers questions as a persona."""
