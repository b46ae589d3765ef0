"""The synthesisers, one file per engine, and their shared code."""
