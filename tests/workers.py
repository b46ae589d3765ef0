"""Helpers for tests that pytest-xdist runs in several processes.

A whole file runs in one process, so that its servers start once. The files that share a mesh of
processes also run together. The files that take longest begin.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.figures import figures
from tests.requirements import not_run

if TYPE_CHECKING:
    import pytest

ON_THE_SHARED_MESH = (
    "tests/web/",
    "tests/e2e/test_ask.py",
    "tests/e2e/test_echo.py",
    "tests/e2e/test_readme.py",
)
"""The beginnings of the paths of those files that use the fixture `mesh`."""
ON_THE_SLOW_MESH = ("tests/e2e/test_frozen.py", "tests/e2e/test_service_killed.py")
ON_THE_FUZZED_MESH = ("tests/fuzz/",)
ON_THE_ATTACKED_MESHES = ("tests/attack/",)
_LONGEST_FIRST = ("tests/web/", "tests/e2e/", "tests/fuzz/", "tests/unit/asr/", "tests/contract/")


def number() -> int:
    """Returns the number of this process among those of the run, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def count() -> int:
    """Returns how many processes run the tests."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def group_of(node_id: str) -> str:
    """Returns the group that runs in one process with a test: its file, or a shared mesh."""
    meshes = {
        "shared": ON_THE_SHARED_MESH,
        "slow": ON_THE_SLOW_MESH,
        "fuzzed": ON_THE_FUZZED_MESH,
        "attacked": ON_THE_ATTACKED_MESHES,
    }
    for mesh, files in meshes.items():
        if node_id.startswith(files):
            return f"the {mesh} mesh"
    return node_id.partition("::")[0]


def order_of(node_id: str) -> tuple[bool, int]:
    """Returns the key by which the tests are sorted."""
    places = [place for place, path in enumerate(_LONGEST_FIRST) if node_id.startswith(path)]
    shares = group_of(node_id) == group_of(ON_THE_SHARED_MESH[0])
    return not shares, min(places, default=len(_LONGEST_FIRST))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns a scheduler of pytest-xdist that keeps groups together and the order as it is.

    Unlike `LoadScopeScheduling` it survives the crash of a process. That one hands out again what
    the process had finished, and also the test that crashed it; a process that is given nothing
    left to do then waits for ever (pytest-xdist 3.8.0).
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is not typed
        def remove_node(self, node: Any) -> str | None:
            units = self.assigned_work.pop(node)
            left = {scope: unit for scope, unit in units.items() if not all(unit.values())}
            if not left:
                return None
            running = next(iter(left.values()))
            crashed: str = next(test for test, done in running.items() if not done)
            running[crashed] = True
            self.workqueue.update(
                (scope, unit) for scope, unit in left.items() if not all(unit.values())
            )
            self._fill()
            return crashed

        def schedule(self) -> None:
            super().schedule()
            self._fill()

        def _fill(self) -> None:
            # A process begins its last test only once it knows the next one, or that none follows.
            for _ in range(3):
                for node in self.nodes:
                    if node in self.registered_collections:
                        self._reschedule(node)

        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def hand_over(output: dict[str, Any]) -> None:
    """Adds the findings of this process to the data that the reporting process receives."""
    output["figures"] = list(figures)
    output["not_run"] = dict(not_run)


def take_over(output: dict[str, Any]) -> None:
    """Adds the findings of a process of the run to the report."""
    figures.extend(output.get("figures", ()))
    for name, tests in output.get("not_run", {}).items():
        not_run[name] = not_run.get(name, 0) + tests
