"""`POST /v1/ask`: one question in, its answer out as a file or as JSON."""
