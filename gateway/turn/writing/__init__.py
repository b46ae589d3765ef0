"""The text of an answer: recall, language model, segments, captions."""
