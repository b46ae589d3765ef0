"""Rules that decide whether a person has finished speaking."""
