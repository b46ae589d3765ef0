"""Turns microphone audio into utterances."""
