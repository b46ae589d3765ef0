"""The words that the gateway says and listens for, one file per language."""
