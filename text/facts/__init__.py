"""Facts that a person states in a sentence, read by rules; shared by memory and llm."""
