"""Before recognition: speech is told from silence, and utterances begin and end."""
