"""What a language model is given."""
