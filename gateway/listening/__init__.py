"""Microphone audio to utterances."""
