"""The gRPC edge of the gateway: `Converse` and `DescribeMesh`."""
