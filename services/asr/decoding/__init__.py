"""The segments of an utterance: partial results, the final one, and both joined."""
