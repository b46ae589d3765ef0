"""The code around a gRPC call, in the server and in the client."""
