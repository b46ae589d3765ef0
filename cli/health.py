"""`anima health`: one health check over gRPC, for probes of containers and of Kubernetes."""

from __future__ import annotations

from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from cli.addresses import checked, grpc_target
from cli.console import console, fail


def health(
    target: Annotated[
        str, typer.Option(help="gRPC address of the service.", metavar="HOST:PORT")
    ] = "127.0.0.1:50050",
    service: Annotated[
        str,
        typer.Option(
            help="Full name of the service: whether it is ready. Without it: whether it lives."
        ),
    ] = "",
    timeout_s: Annotated[float, typer.Option(min=0.1, help="How long it may take.")] = 4.0,
) -> None:
    """Ask a service whether it works, as the probes of containers do.

    The exit status is 0 if it says SERVING, otherwise 1.
    """
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(checked("--target", grpc_target, target)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            status = stub.Check(request, timeout=timeout_s).status
        except grpc.RpcError as error:
            fail(f"no answer from {target}: {error.code().name}.", remedy="Read its log.")
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    if status != health_pb2.HealthCheckResponse.SERVING:
        fail(f"{service or target} is {name}.", remedy="Read its log.")
    console.print(name)
