"""Known vulnerabilities of locked packages, from a database in OSV's format on this machine."""

from __future__ import annotations

import json
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scripts.supply.locks import PINS, ROOT, read_lock

EXCEPTIONS: Final = PINS / "audit.toml"
_RANGES: Final = ("ECOSYSTEM", "SEMVER")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A locked version of a package."""

    ecosystem: str
    """"PyPI" or "npm"."""
    name: str
    version: str
    locks: tuple[str, ...]
    """The files that lock it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A vulnerability of a locked package."""

    pin: Pin
    ids: tuple[str, ...]
    """The id in the database, then its aliases."""
    summary: str
    fixed: tuple[str, ...]
    """The versions that fix it; empty if there is none."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A known finding that is accepted until a day."""

    id: str
    package: str
    reason: str
    expires: date

    def covers(self, finding: Finding) -> bool:
        """Returns whether this waiver is for a finding, by the id or an alias."""
        return self.package == finding.pin.name and self.id in finding.ids


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found."""

    records: int
    """The records of the database."""
    newest: str
    """When the newest record was modified, ISO 8601."""
    open: list[Finding]
    waived: list[Finding]
    expired: list[Waiver]
    unused: list[Waiver]


def locked_packages() -> list[Pin]:
    """Returns every version in `pins/` and package-lock.json, the same one once."""
    locks: dict[tuple[str, str, str], list[str]] = {}
    for path in sorted(PINS.glob("*.lock")):
        for name, entry in read_lock(path).items():
            # A local part ("+cpu") is a build of the same release.
            key = ("PyPI", name, entry.version.partition("+")[0])
            locks.setdefault(key, []).append(path.name)
    tree = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    for place, package in tree.items():
        if place:
            name = place.rpartition("node_modules/")[2]
            locks.setdefault(("npm", name, package["version"]), []).append("package-lock.json")
    return [
        Pin(ecosystem=ecosystem, name=name, version=version, locks=tuple(found))
        for (ecosystem, name, version), found in locks.items()
    ]


def read_waivers(path: Path = EXCEPTIONS) -> list[Waiver]:
    """Reads pins/audit.toml.

    Raises:
        ValueError: A waiver has no reason, or no day on which it expires.
    """
    waivers = []
    for each in tomllib.loads(path.read_text("utf-8")).get("waiver", []):
        try:
            waiver = Waiver(**each)
        except TypeError as error:
            raise ValueError(f"{path.name}: {each.get('id', each)}: {error}") from None
        if not isinstance(waiver.expires, date) or len(waiver.reason) < 20:
            raise ValueError(f"{path.name}: {waiver.id} needs a reason and a date `expires`")
        waivers.append(waiver)
    return waivers


def audit(database: Path, pins: Iterable[Pin], waivers: list[Waiver], *, today: date) -> Audit:
    """Compares pins with a database.

    Args:
        database: A folder of JSON or YAML files, or the zip of an export.
        pins: The locked packages.
        waivers: Findings that are accepted.
        today: Waivers that expire before this day count no more.

    Raises:
        ValueError: The database has no record of OSV's format.
    """
    by_name: dict[tuple[str, str], list[Pin]] = {}
    for pin in pins:
        by_name.setdefault((pin.ecosystem, pin.name), []).append(pin)
    records, newest = 0, ""
    findings: list[Finding] = []
    for record in _records(database):
        records += 1
        newest = max(newest, str(record.get("modified", "")))
        findings += _findings(record, by_name)
    if not records:
        raise ValueError(f"{database} has no record in OSV's format")
    valid = [waiver for waiver in waivers if waiver.expires >= today]
    waived = [each for each in findings if any(waiver.covers(each) for waiver in valid)]
    return Audit(
        records=records,
        newest=newest,
        open=[each for each in findings if each not in waived],
        waived=waived,
        expired=[waiver for waiver in waivers if waiver not in valid],
        unused=[waiver for waiver in valid if not any(waiver.covers(each) for each in waived)],
    )


def _records(database: Path) -> Iterator[dict[str, Any]]:
    for name, content in _files(database):
        if name.endswith(".json"):
            record = json.loads(content)
        else:
            record = yaml.load(content, Loader=_Loader)  # noqa: S506 (a subclass of the safe one)
        if isinstance(record, dict) and "id" in record and "affected" in record:
            yield record


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, in C where there is one, which leaves dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def _files(database: Path) -> Iterator[tuple[str, bytes]]:
    suffixes = (".json", ".yaml", ".yml")
    if zipfile.is_zipfile(database):
        with zipfile.ZipFile(database) as archive:
            for name in archive.namelist():
                if name.endswith(suffixes):
                    yield name, archive.read(name)
        return
    for path in sorted(database.rglob("*")):
        if path.suffix in suffixes:
            yield path.name, path.read_bytes()


def _findings(
    record: Mapping[str, Any], by_name: Mapping[tuple[str, str], list[Pin]]
) -> Iterator[Finding]:
    if record.get("withdrawn"):
        return
    found: dict[Pin, set[str]] = {}
    for affected in record["affected"]:
        package = affected.get("package") or {}
        ecosystem = str(package.get("ecosystem", "")).partition(":")[0]
        name = str(package.get("name", ""))
        key = (ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name)
        for pin in by_name.get(key, ()):
            if _is_affected(affected, pin.version):
                fixed = {event["fixed"] for event in _events(affected) if "fixed" in event}
                found.setdefault(pin, set()).update(fixed)
    text = str(record.get("summary") or record.get("details") or "").strip()
    for pin, versions in found.items():
        yield Finding(
            pin=pin,
            ids=(str(record["id"]), *(str(each) for each in record.get("aliases") or ())),
            summary=(text.splitlines() or [""])[0][:160],
            fixed=tuple(sorted(versions)),
        )


def _events(affected: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return [
        event
        for each in affected.get("ranges") or ()
        if each.get("type") in _RANGES
        for event in each.get("events") or ()
    ]


def _is_affected(affected: Mapping[str, Any], version: str) -> bool:
    """Whether a version is listed, or lies in a range; one that cannot be compared does."""
    listed = affected.get("versions") or ()
    if version in listed:
        return True
    ranges = [each for each in affected.get("ranges") or () if each.get("type") in _RANGES]
    if not listed and not ranges:
        return True  # no limits at all: every version
    try:
        return any(_in_range(each.get("events") or (), Version(version)) for each in ranges)
    except InvalidVersion:
        return True


def _in_range(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    steps = []
    for event in events:
        ((kind, text),) = event.items()
        if kind != "limit":
            steps.append((Version(text), kind))
    inside = False
    for at, kind in sorted(steps, key=lambda step: step[0]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside
