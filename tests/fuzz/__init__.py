"""Generated input for every interface of a mesh of processes.

Each test runs twice: with fixed seeds for seconds, and for minutes with `make test-long`
(`FUZZ_MINUTES`, 10 in all). A failure prints the seed and the input.
"""
