"""One mesh of processes for all end-to-end tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh_process import MeshProcess, running_mesh
from tests.requirements import need


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshProcess]:
    need("minilm")
    with running_mesh(tmp_path_factory.mktemp("mesh")) as running:
        yield running
