"""Clients and baselines for the language model stage."""
