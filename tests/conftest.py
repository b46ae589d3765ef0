"""Shared by every test run: the options, the figures, and the list of tests that were not run."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

import cli as _cli  # noqa: F401 (before gRPC: it says how processes are started beside it)
from gateway.stages.spec import GATEWAY, STAGES
from tests import workers
from tests.figures import figures
from tests.mesh_process import MeshProcess, free_first_port, running_mesh
from tests.postgres import Server
from tests.requirements import REQUIREMENTS, need, not_run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the addresses of the servers under test and the token that they require."""
    for stage in (*STAGES, GATEWAY):
        parser.addoption(
            f"--{stage}-address", default=None, help=f"test the {stage} service at HOST:PORT"
        )
    parser.addoption("--token", default=None, help="the token that the service wants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Starts the longest tests first if several processes run the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: workers.order_of(item.nodeid))


def pytest_collection_finish() -> None:
    """Leaves the modules and tests out of garbage collections: a million objects that stay."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the end of the logs to the report of a test that failed with a mesh of processes."""
    report = yield
    if report.failed:
        fixtures = getattr(item, "funcargs", {}).values()
        for mesh in (getattr(each, "process", each) for each in fixtures):
            if isinstance(mesh, MeshProcess):
                report.sections.append(("Logs of the mesh", mesh.log_tails()))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Chooses which tests run in one process."""
    return workers.scheduler(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the figures over to the process that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        workers.hand_over(output)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Collects the figures and skipped tests of a process; a crashed process reports nothing."""
    workers.take_over(getattr(node, "workeroutput", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures, the missing requirements, and how to install them."""
    if figures:
        terminalreporter.section("measured")
        for line in figures:
            terminalreporter.line(line)
    if not not_run:
        return
    terminalreporter.section("NOT RUN:", sep="!", yellow=True)
    for name, count in sorted(not_run.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.line(f"{name} ({tests}): {REQUIREMENTS[name].how_to_get}")
    terminalreporter.line("ANIMA_REQUIRE_ALL=1 turns these into failures.")


@pytest.fixture(scope="session")
def shared_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshProcess]:
    """One mesh of processes for all tests that leave it as it was (tests/workers.py lists them)."""
    need("encoder")
    first_port = free_first_port()
    environment = {
        "ANIMA_AVATAR_METRICS_LISTEN": f"127.0.0.1:{first_port}",
        "ANIMA_GATEWAY_METRICS_LISTEN": f"127.0.0.1:{first_port + 1}",
        # A machine that runs other tests as well may stop the talking head for a while.
        "ANIMA_GATEWAY_FACE_LATE_MS": "30000",
        "OMP_NUM_THREADS": "1",
    }
    with running_mesh(tmp_path_factory.mktemp("mesh"), environment) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server with pgvector for this test run."""
    need("postgres")
    with Server.started() as server:
        yield server


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: Server) -> Callable[[], str]:
    """Creates an empty database on the server of the run; returns its address."""
    numbers = itertools.count()
    return lambda: postgres_server.new_database(f"test{next(numbers)}")
