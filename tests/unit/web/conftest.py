"""Scripted stages behind the real gateway and its edge."""

from collections.abc import AsyncIterator

import pytest

from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import Page, serving_page


@pytest.fixture
async def stages() -> AsyncIterator[FakeMesh]:
    async with FakeMesh() as mesh:
        mesh.tts.ms_per_char = 6  # answers are played in real time
        yield mesh


@pytest.fixture
async def page(stages: FakeMesh) -> AsyncIterator[Page]:
    async with stages.mesh() as mesh, serving_page(mesh) as served:
        yield served
