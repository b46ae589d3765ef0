"""The mesh of the end-to-end tests."""

from __future__ import annotations

import pytest

from tests.mesh_process import MeshProcess


@pytest.fixture(scope="session")
def mesh(shared_mesh: MeshProcess) -> MeshProcess:
    return shared_mesh
