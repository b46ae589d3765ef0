"""Checks before the first process of a mesh starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cli.addresses import AddressError, is_free
from cli.mesh.layout import Layout, child_environment
from cli.mesh.record import running_mesh
from memory.service.faults import StoreError
from memory.settings import MemorySettings
from memory.sqlite.folder_lock import lock
from services.runtime.config.known_variables import installed_settings, refuse_unknown
from services.runtime.config.settings import ServiceSettings, SettingsError

_OPTIONS: Final = {"ANIMA_GATEWAY_HTTP_LISTEN:": "--http:"}
"""Variables of members that are set by an option of the command."""


class CheckError(Exception):
    """The mesh cannot start.

    Attributes:
        remedy: What to do about it; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


class DataInUseError(CheckError):
    """Another mesh uses the data folder."""


def check(layout: Layout) -> dict[str, ServiceSettings]:
    """Returns the settings of the members of a mesh, by name.

    Raises:
        CheckError: A member could not start: a variable is invalid or unknown, an address cannot
            be used, or another mesh uses the data folder.
    """
    users = {member.address: member.name for member in layout.members}
    _add_users(users, {"the page": layout.http_address})
    _check_free(users)
    settings = settings_of(layout)
    metrics = {
        f"the metrics of {name}": each.metrics_listen
        for name, each in settings.items()
        if each.metrics_listen and not each.metrics_listen.endswith(":0")
    }
    _add_users(users, metrics)
    _check_free(metrics.values())
    memory = settings.get(MemorySettings.stage)
    if isinstance(memory, MemorySettings):
        check_data_folder(memory)
    return settings


def settings_of(layout: Layout) -> dict[str, ServiceSettings]:
    """Returns the settings that the members of a mesh read from the environment, by name.

    Raises:
        CheckError: A variable is wrong or unknown.
    """
    models = installed_settings()
    found: dict[str, ServiceSettings] = {}
    faults: list[str] = []
    for member in layout.members:
        model = models.get(member.name)
        if model is None:
            continue
        environment = child_environment(member)
        try:
            refuse_unknown(model, environment)
            found[member.name] = model.from_environment(environment)
        except SettingsError as error:
            faults.append(str(error))
    if faults:
        # An invalid variable for all services is reported by each of them.
        problem = "; ".join(dict.fromkeys(faults))
        for variable, option in _OPTIONS.items():
            problem = problem.replace(variable, option)
        raise CheckError(problem)
    return found


def _add_users(users: dict[str, str], wanted: Mapping[str, str]) -> None:
    for name, address in wanted.items():
        if address in users:
            raise CheckError(
                f"{address} is used for both {users[address]} and {name}.",
                "Use different addresses: --http, --first-port and, for metrics,"
                " ANIMA_<STAGE>_METRICS_LISTEN.",
            )
        users[address] = name


def _check_free(addresses: Iterable[str]) -> None:
    try:
        taken = [address for address in addresses if not is_free(address)]
    except AddressError as error:
        raise CheckError(f"{error}.") from error
    if taken:
        raise CheckError(
            f"{', '.join(taken)}: already in use.",
            "Is a mesh running? Stop it, or choose other ports with --http and --first-port.",
        )


def check_data_folder(settings: MemorySettings) -> None:
    """Checks that no other memory service uses the data folder.

    Raises:
        DataInUseError: Another one uses it.
        CheckError: The folder cannot be written.
    """
    folder = settings.data_dir / "memory"
    if settings.engine != "sqlite":
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock(folder).close()
    except StoreError:
        other = running_mesh(settings.data_dir)
        where = f"the mesh at {other.page}" if other else "another mesh"
        raise DataInUseError(
            f"{where} uses the data in {settings.data_dir}.",
            "Stop it, or use another folder: ANIMA_DATA_DIR=FOLDER anima up",
        ) from None
    except OSError as error:
        raise CheckError(
            f"{folder} cannot be written: {error.strerror}.",
            "Choose another data folder: ANIMA_DATA_DIR=FOLDER anima up",
        ) from error


def check_log_folder(folder: Path) -> None:
    """Creates the folder of the logs.

    Raises:
        CheckError: It cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "gateway.log").open("ab"):
            pass
    except OSError as error:
        raise CheckError(
            f"{folder} cannot be written: {error.strerror}.",
            "Choose another folder for the logs with --logs.",
        ) from error
