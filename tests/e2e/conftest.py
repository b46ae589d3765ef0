"""The meshes of processes that several files of end-to-end tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh_process import MeshProcess, running_mesh
from tests.requirements import need


@pytest.fixture(scope="session")
def mesh(shared_mesh: MeshProcess) -> MeshProcess:
    return shared_mesh


@pytest.fixture(scope="session")
def slow_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshProcess]:
    """A mesh whose services may be killed and frozen.

    Its language model is so slow that every stage is at work at the first media.
    """
    need("encoder")
    folder = tmp_path_factory.mktemp("slow-mesh")
    with running_mesh(folder, {"ANIMA_LLM_WORD_INTERVAL_MS": "120"}) as running:
        yield running
