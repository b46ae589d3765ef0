"""Benchmarks: `python -m bench` prints the figures of the mesh; each module also runs alone."""

import cli as _cli  # noqa: F401 (before gRPC: it says how processes are started beside it)
