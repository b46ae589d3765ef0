"""The settings of a server: one frozen model, read from the environment at start."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import platformdirs
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.runtime.config.variables import StageVariables, put
from services.runtime.identity.caller import Mode
from services.runtime.identity.settings import HOW_TO_AUTHENTICATE, IdentitySettings

CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The root of the source tree; for an installed wheel the folder with its packages."""
PACKAGED: Final = CHECKOUT / "anima_data"
"""The data shipped in the wheel; a source tree has no such folder."""


def shipped(folder: str) -> Path:
    """Returns a folder shipped with Anima: from the source tree or from the wheel."""
    return (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / folder


TARGET_SCHEMES: Final = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")
"""How a target of gRPC begins that is no "host:port"."""


class SettingsError(Exception):
    """A setting is missing or invalid; the text names the variable and the remedy."""


class ServiceSettings(IdentitySettings):
    """The settings of every server.

    A field `x` is read from `ANIMA_<STAGE>_X`, otherwise from `ANIMA_X`, otherwise it has its
    default.
    An empty variable counts as not set. A field with several values is split at commas.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False)

    stage: ClassVar[str] = "service"
    """The name in variables, logs and metrics, in lower case."""
    default_port: ClassVar[int] = 50050
    """The port of `listen` when nothing is set."""

    listen: str = ""
    """The gRPC address, "host:port"; port 0 takes a free port."""
    metrics_listen: str = ""
    """The HTTP address of `/metrics` for Prometheus, "host:port"; empty: no metrics page."""
    metrics_hosts: tuple[str, ...] = ()
    """More host names that a request for `/metrics` may name, separated by commas; addresses, the
    name of this machine and `localhost` are always accepted."""
    engine: str = ""
    """The name of an engine: an entry point in `anima.<stage>.engines`."""
    capacity: int = Field(default=16, ge=1, le=10_000)
    """How many streams are served at the same time; further ones are refused with
    RESOURCE_EXHAUSTED."""
    capacity_per_caller: int = Field(default=0, ge=0, le=10_000)
    """How many of these places one caller may hold: a user with a token of its own, or, at the
    gateway, the address of another machine. 0: half of them. Set it to the capacity behind a proxy
    that hides the addresses. Services and programs of the same machine may hold all."""
    requests_per_minute: int = Field(default=600, ge=0, le=1_000_000)
    """How many calls a caller may make in a minute, of those whose places are counted too; further
    ones are refused with RESOURCE_EXHAUSTED or 429 and a time to retry. 0: no limit."""
    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    """The largest gRPC message, in both directions."""
    drain_timeout_s: float = Field(default=20.0, ge=0, le=3600, allow_inf_nan=False)
    """How long open streams may go on after SIGTERM."""
    peer_timeout_s: float = Field(default=30.0, ge=2, le=3600, allow_inf_nan=False)
    """A caller that has vanished without closing its connection is detected after this time, and
    its calls end."""
    stall_timeout_s: float = Field(default=120.0, ge=1, le=86_400, allow_inf_nan=False)
    """A stream whose caller neither sends what it owes nor reads what waits for it ends after this
    time. Set it above the longest pause of an answer: that of the language model, and
    `ANIMA_GATEWAY_CLIENT_STALL_TIMEOUT_S`."""
    max_connection_age_s: float = Field(default=300.0, ge=0, le=86_400, allow_inf_nan=False)
    """A connection of this age takes no new calls, so that clients find new replicas; open streams
    are never cut. 0: no limit."""
    max_connection_idle_s: float = Field(default=60.0, ge=1, le=86_400, allow_inf_nan=False)
    """A connection without a call is closed after this time; a client of gRPC opens another one
    when it needs it."""
    max_connections: int = Field(default=4_096, ge=1, le=1_000_000)
    """The most connections to the gRPC port; further ones are closed at once."""
    data_dir: Path = Path(platformdirs.user_data_dir("anima", appauthor=False))
    """The folder of model files (`models/`), memory (`memory/`) and avatars made of photos."""
    personas_dir: Path = shipped("personas")
    """The folder of the personas."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    reflection: bool = True
    """Whether gRPC reflection is offered."""
    trace_file: Path | None = None
    """A file to which finished spans are appended as JSON lines."""
    options: Mapping[str, str] = Field(default_factory=dict)
    """Every other `ANIMA_<STAGE>_*` variable, in lower case and without the prefix, for engines."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        values = dict(data)
        if not values.get("listen"):
            values["listen"] = f"127.0.0.1:{cls.default_port}"
        return values

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        split_address("listen", self.listen)
        if self.metrics_listen:
            split_address("metrics_listen", self.metrics_listen)
        if self.mode is Mode.OPEN and not is_loopback(self.listen):
            raise ValueError(
                f"listen: {self.listen} can be reached from other machines, so callers must "
                f"authenticate: {HOW_TO_AUTHENTICATE}, or listen on 127.0.0.1"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Makes the constructor use only its arguments; `from_environment` reads variables."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """Returns the place of each setting: a field, or a field of a group.

        The keys are the names of variables without prefix, in lower case: "capacity" for
        `ANIMA_CAPACITY` and `ANIMA_<STAGE>_CAPACITY`.
        """
        return {field: (field,) for field in cls.model_fields if field != "options"}

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **overrides: Any
    ) -> Self:
        """Reads the settings.

        Args:
            environment: The variables; None: those of the process.
            **overrides: Settings that do not come from the environment, by the keys of
                `variables`.

        Raises:
            SettingsError: A value is invalid; the text names the variable.
        """
        places = cls.variables()
        source = StageVariables(
            cls, cls.stage, places, os.environ if environment is None else environment
        )
        values = source()
        for setting, value in overrides.items():
            place = places.get(setting, (setting,))
            source.names.pop(place, None)
            put(values, place, value)
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_describe(cls, error, source.names)) from None


def split_address(field: str, address: str) -> tuple[str, int]:
    """Returns host and port of "host:port" or "[ipv6]:port".

    Raises:
        ValueError: The address has neither form.
    """
    host, _, port = address.rpartition(":")
    inner = host.removeprefix("[").removesuffix("]")
    if not inner or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{field}: {address!r} is not host:port, such as 127.0.0.1:50051")
    if ":" in inner and inner == host:
        raise ValueError(f"{field}: an IPv6 address needs brackets: [{host}]:{port}")
    return inner, int(port)


def check_target(target: str) -> str:
    """Return the address of another service: "host:port", a target of gRPC, or empty.

    Raises:
        ValueError: It is none of these.
    """
    scheme, separator, _ = target.partition("://")
    if separator and scheme in ("http", "https", "grpc"):
        raise ValueError(f"leave {scheme}:// out")
    if target and not target.startswith(TARGET_SCHEMES):
        try:
            split_address("target", target)
        except ValueError as error:
            raise ValueError(str(error).removeprefix("target: ")) from None
    return target


Target = Annotated[str, AfterValidator(check_target)]
"""A setting that holds the address of another service."""


def is_loopback(address: str) -> bool:
    """Reports whether "host:port" can be reached only from this machine."""
    host, _ = split_address("address", address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _describe(
    cls: type[ServiceSettings], error: ValidationError, names: Mapping[tuple[str, ...], str]
) -> str:
    secret = {field for field, info in cls.model_fields.items() if not info.repr}
    lines = []
    for fault in error.errors(include_url=False):
        text = fault["msg"].removeprefix("Value error, ")
        place = tuple(map(str, fault["loc"])) or (text.partition(":")[0],)
        name = names.get(place) or names.get(place[:1])
        if fault["loc"]:
            given = "" if place[0] in secret else f" (it is {str(fault['input'])[:80]!r})"
            lines.append(f"{name or '.'.join(place)}: {text}{given}")
        elif name:
            lines.append(f"{name}:{text.partition(':')[2]}")
        else:
            lines.append(text)
    return "; ".join(lines)
