"""The input of a language model."""
