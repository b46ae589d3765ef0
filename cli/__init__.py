"""The command `anima`."""

import os

import services.runtime as _runtime  # noqa: F401 (first: it keeps libraries from reporting)

# The supervisor starts and restarts processes while its health checks run. gRPC's fork handlers are
# useless for a child that then executes another program, and sometimes abort it (grpc/grpc#38251).
# gRPC reads this variable on import.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
