"""Benchmarks: `python -m bench` prints the figures of the mesh; each module can be run alone."""
