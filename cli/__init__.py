"""The command `anima`."""

import os

# The supervisor starts and restarts processes beside its health checks. gRPC's fork handlers help
# nobody who then runs another program, and at times abort the child (grpc/grpc#38251). gRPC reads
# this when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
