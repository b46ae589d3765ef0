"""A mesh of scripted stages whose servers check signed tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.runtime.calls.channels import open_channel
from testing.fakes.mesh import FakeMesh
from tests.unit.identity.tokens import key_file, signing_key_file


def identity_settings(folder: Path) -> dict[str, Any]:
    """Returns the settings of a gateway that checks and signs tokens."""
    return {
        "identity_keys_file": str(key_file(folder)),
        "identity_signing_key_file": str(signing_key_file(folder)),
    }


@asynccontextmanager
async def identity_mesh(folder: Path) -> AsyncIterator[FakeMesh]:
    """Starts the stages."""
    async with FakeMesh(identity_keys_file=key_file(folder)) as fake:
        yield fake


@asynccontextmanager
async def calling(address: str, token: str, stub: Any) -> AsyncIterator[Any]:
    """Opens a stub whose calls carry a token."""
    async with open_channel(address, token=token) as channel:
        yield stub(channel)
