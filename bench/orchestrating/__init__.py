"""The workload of `bench.orchestration`, and what it is compared with."""
