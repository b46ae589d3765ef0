"""The recognisers, one file per engine."""
