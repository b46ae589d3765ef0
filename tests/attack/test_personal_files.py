"""Who else can read what is personal (A10)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anima.memory import v1 as memory
from services.runtime.config.settings import ServiceSettings
from tests.attack.attacked import Attacked
from tests.attack.test_held_bytes import try_upload
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]


async def test_nobody_else_can_read_what_is_personal(open_mesh: Attacked, tmp_path: Path) -> None:
    need("face-mesh")
    need("astronaut")
    await try_upload(open_mesh, 1, portrait())
    async with open_mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        item = memory.Item(text="I live in Rome.", kind=memory.ITEM_KIND_TURN)
        await stub.Remember(memory.RememberRequest(user_id="modes", items=[item]))
    export = tmp_path / "export.jsonl"
    await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "cli", "memory", "export", "modes", str(export)),
            *("--memory", open_mesh.address("memory")),
        ],
        check=True,
        umask=0o022,
    )
    personal = [
        path
        for folder in ("memory", "avatars")
        for path in (open_mesh.data / folder, *(open_mesh.data / folder).rglob("*"))
    ]
    assert any(path.name == "avatar.toml" for path in personal)
    readable = [str(path) for path in (*personal, export) if path.stat().st_mode & 0o077]
    assert not readable


def portrait() -> bytes:
    models = ServiceSettings.from_environment().data_dir / "models"
    return next((models / "astronaut").glob("*.png")).read_bytes()
