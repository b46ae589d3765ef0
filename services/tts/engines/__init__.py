"""The synthesisers, one file per engine, and what they share."""
