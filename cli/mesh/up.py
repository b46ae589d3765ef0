"""`anima up`: the whole mesh on this machine."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final

import typer
from platformdirs import user_log_path
from rich.markup import escape

from cli.addresses import LOOPBACK, MAX_PORT, checked, http_address, with_port
from cli.console import console, fail
from cli.mesh.checks import CheckError, check, check_log_folder
from cli.mesh.layout import Layout, fixed_layout
from cli.mesh.models import missing_models, warn_about
from cli.mesh.record import recording
from cli.mesh.supervisor import State, Status, Supervisor
from gateway.stages.spec import GATEWAY_PORT, STAGES
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import StoredModel
from services.runtime.process.stop_signals import stop_signals
from services.runtime.process.tasks import first_of

MIN_FIRST_PORT: Final = 1024

_COLOURS = {
    State.READY: "green",
    State.STARTING: "yellow",
    State.RESTARTING: "red",
    State.FAILED: "bold red",
    State.STOPPED: "dim",
}


def up(
    http: Annotated[
        str,
        typer.Option(
            help="Address of the page and of REST: PORT or HOST:PORT. "
            "A host other than loopback requires ANIMA_TOKEN."
        ),
    ] = f"{LOOPBACK}:8080",
    first_port: Annotated[
        int,
        typer.Option(help="gRPC port of the gateway; the stages use the following ports."),
    ] = GATEWAY_PORT,
    logs: Annotated[Path | None, typer.Option(help="Folder for the log of each service.")] = None,
) -> None:
    """Start all services and the gateway; Ctrl-C stops them.

    A service that dies is restarted. Settings are environment variables, see docs/settings.md.
    """
    largest = MAX_PORT - max(spec.default_port - GATEWAY_PORT for spec in STAGES.values())
    if not MIN_FIRST_PORT <= first_port <= largest:
        fail(f"--first-port: {first_port} is not in {MIN_FIRST_PORT} to {largest}.")
    address = checked("--http", with_port, checked("--http", http_address, http))
    layout = fixed_layout(http_address=address, first_port=first_port)
    log_folder = logs or user_log_path("anima")
    try:
        missing = missing_models(check(layout))
        check_log_folder(log_folder)
    except CheckError as error:
        fail(str(error), remedy=error.remedy)
    with recording(ServiceSettings.from_environment().data_dir, layout):
        stopped = asyncio.run(_supervise(layout, log_folder, missing))
    if not stopped:
        raise typer.Exit(1)


async def _supervise(layout: Layout, log_folder: Path, missing: list[StoredModel]) -> bool:
    console.print(f"Starting {len(layout.members)} services; logs in {log_folder}")
    token = ServiceSettings.from_environment().token
    supervisor = Supervisor(layout, log_folder=log_folder, token=token, on_change=_show)
    stop = _stop_signal(supervisor)
    async with supervisor.running():
        await first_of(stop.wait(), supervisor.until_settled())
        if supervisor.is_ready():
            console.print(f"\nTalk to Anima at [bold]{layout.page}[/]  (Ctrl-C stops all)\n")
            warn_about(missing)
            await first_of(stop.wait(), supervisor.until_failed())
        failed = [status for status in supervisor.statuses.values() if status.state is State.FAILED]
    for status in failed:
        console.print(
            f"[bold red]{status.member.name}[/] could not start: {escape(status.problem)}",
            soft_wrap=True,
        )
    return not failed


def _stop_signal(supervisor: Supervisor) -> asyncio.Event:
    """Returns the event set by the first signal; the second signal skips the drain."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            console.quiet = True  # its terminal is gone
        if stop.is_set():
            supervisor.stop_at_once()
            return
        console.print("\nStopping; press Ctrl-C again to stop without finishing current answers.")
        stop.set()

    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    return stop


def _show(status: Status) -> None:
    colour = _COLOURS[status.state]
    detail = status.problem
    if status.state is State.READY and status.ready_after_s is not None:
        detail = f"after {status.ready_after_s:.1f} s, {status.member.address}"
    console.print(
        f"  [bold]{status.member.name:8}[/] [{colour}]{status.state:10}[/] [dim]{escape(detail)}[/]"
    )
