"""What surrounds a gRPC call, as server and as client."""
