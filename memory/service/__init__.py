"""The gRPC service around the memory."""
