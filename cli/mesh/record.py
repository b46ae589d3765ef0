"""Records the addresses of the mesh of a data folder, so that other commands find it.

`anima up` writes `mesh.json` into its data folder and locks it while it runs. The kernel
releases the lock when the process dies, so an unlocked record is stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.addresses import checked, grpc_target
from cli.mesh.layout import Layout
from services.runtime.config.settings import ServiceSettings

NAME: Final = "mesh.json"
_MAX_BYTES: Final = 64 * 1024
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.02


class MeshRecord(BaseModel):
    """A mesh that runs on this machine."""

    model_config = ConfigDict(frozen=True)

    page: str
    """The URL of the page."""
    addresses: dict[str, str]
    """The gRPC address of each service by its name, "host:port"."""
    process_id: int
    """The process `anima up`."""


@contextlib.contextmanager
def recording(folder: Path, layout: Layout) -> Iterator[None]:
    """Keeps the record of a mesh in its data folder for the duration of the block.

    If the record cannot be written, or another mesh has one, the block runs without it.
    """
    record = MeshRecord(
        page=layout.page,
        addresses={member.name: member.address for member in layout.members},
        process_id=os.getpid(),
    )
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / NAME).open("a+", encoding="utf-8"))
            _hold(file.fileno())
            file.truncate(0)
            file.write(record.model_dump_json())
            file.flush()
            stack.callback(file.truncate, 0)
        except OSError:
            pass  # commands then need the addresses as options
        yield


def running_mesh(folder: Path) -> MeshRecord | None:
    """Returns the mesh that runs with a data folder; None: there is none, or it has no record."""
    try:
        with (folder / NAME).open("rb") as file:
            if not _is_held(file.fileno()):
                return None
            return MeshRecord.model_validate_json(file.read(_MAX_BYTES))
    except (OSError, ValidationError):
        return None


def target_of(name: str, given: str | None, *, option: str, otherwise: str) -> str:
    """Returns the gRPC target of a service.

    Args:
        name: The service, such as "memory".
        given: The value of the option; None or empty: the address of the running mesh.
        option: The name of the option, for errors.
        otherwise: The target if no mesh runs with the data folder.
    """
    if given:
        return checked(option, grpc_target, given)
    mesh = running_mesh(ServiceSettings.from_environment().data_dir)
    return otherwise if mesh is None else mesh.addresses.get(name, otherwise)


def _hold(descriptor: int) -> None:
    for _ in range(_ATTEMPTS):
        # A command that checks the lock holds it itself for a moment.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE_S)
    raise BlockingIOError


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
