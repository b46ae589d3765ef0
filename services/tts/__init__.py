"""Speech synthesis: segments of text in, audio with word and viseme marks out."""
