"""The language-model stage: answers a person in the words of a persona."""
