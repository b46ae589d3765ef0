"""The recognisers, one module or package per engine."""
