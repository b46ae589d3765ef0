"""The locks in `pins/` are what pyproject.toml asks for, and nothing is installed without them."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import constraints
from scripts.supply.locks import (
    CONSTRAINTS,
    LIST_LOCKS,
    LOCKS,
    PINS,
    ROOT,
    UNLOCKED_EXTRAS,
    Lock,
    Locked,
    read_lock,
)

REMEDY = "run `make locks` and commit pins/ and constraints.txt"
DEV = PINS / "dev.lock"


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _requirements(lock: Lock) -> list[Requirement]:
    """What pyproject.toml asks for in a lock."""
    project = _project()
    if lock.group is not None:
        lines = project["dependency-groups"][lock.group]
    else:
        extras = project["project"]["optional-dependencies"]
        lines = project["project"]["dependencies"] + [
            line for extra in lock.extras for line in extras[extra]
        ]
    return [Requirement(line) for line in lines]


def _satisfies(locked: Locked, requirement: Requirement) -> bool:
    return requirement.specifier.contains(locked.version, prereleases=True)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_what_the_project_asks_for(lock: Lock) -> None:
    locked = read_lock(lock.path)
    for requirement in _requirements(lock):
        found = locked.get(canonicalize_name(requirement.name))
        assert found is not None, f"{lock.path.name} lacks {requirement}: {REMEDY}"
        assert _satisfies(found, requirement), f"{found.requirement} is not {requirement}: {REMEDY}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_nothing_that_is_not_needed(lock: Lock) -> None:
    locked = read_lock(lock.path)
    asked = {str(canonicalize_name(each.name)) for each in _requirements(lock)}
    for name, entry in locked.items():
        needers = {canonicalize_name(each) for each in entry.needed_by if "pyproject" not in each}
        assert name in asked or needers & locked.keys() - {name}, f"{name} is not needed: {REMEDY}"
    reached, left = set(asked), list(asked)
    while left:
        needer = left.pop()
        needed = {name for name, entry in locked.items() if needer in entry.needed_by} - reached
        reached |= needed
        left += needed
    assert locked.keys() <= reached, f"{locked.keys() - reached} are not needed: {REMEDY}"


def test_the_locks_agree_on_versions() -> None:
    dev = {name: entry.version for name, entry in read_lock(DEV).items()}
    for lock in LOCKS:
        if lock.follows_dev:
            versions = {name: entry.version for name, entry in read_lock(lock.path).items()}
            shared = versions.keys() & dev.keys()
            assert {name: versions[name] for name in shared} == {name: dev[name] for name in shared}
            if lock.group is None:
                assert versions.keys() <= dev.keys(), lock.name


def test_every_extra_is_locked_but_those_for_a_gpu() -> None:
    extras = set(_project()["project"]["optional-dependencies"])
    assert extras > UNLOCKED_EXTRAS
    (dev,) = [lock for lock in LOCKS if lock.name == "dev"]
    assert set(dev.extras) == extras - UNLOCKED_EXTRAS


def test_the_tools_that_build_anima_are_bootstrapped() -> None:
    project = _project()
    locked = read_lock(PINS / "bootstrap.lock")
    assert "pip" in locked
    for line in project["build-system"]["requires"]:
        requirement = Requirement(line)
        assert _satisfies(locked[canonicalize_name(requirement.name)], requirement)


def test_what_is_installed_finds_its_requirements_in_the_lock() -> None:
    """Also what no resolver has noted: the metadata of the installed packages themselves."""
    locked = read_lock(DEV)
    installed = {
        str(canonicalize_name(each.metadata["Name"])): each for each in metadata.distributions()
    }
    checked = 0
    for name, entry in locked.items():
        if not entry.applies or name not in installed or installed[name].version != entry.version:
            continue
        for line in installed[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = locked.get(canonicalize_name(requirement.name))
            assert found is not None, f"{name} needs {requirement}: {REMEDY}"
            assert _satisfies(found, requirement), f"{name} needs {requirement}: {REMEDY}"
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("path", sorted(PINS.glob("*.lock")), ids=lambda path: path.name)
def test_every_package_has_hashes_and_no_index_is_named(path: Path) -> None:
    assert path in {lock.path for lock in (*LOCKS, *LIST_LOCKS)}
    for name, entry in read_lock(path).items():
        assert entry.hashes, f"{path.name}: {name} has no hash: {REMEDY}"
        assert len(set(entry.hashes)) == len(entry.hashes), name
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            assert "://" not in line, line
            assert not line.lstrip().startswith("-") or re.fullmatch(
                r"    --hash=sha256:[0-9a-f]{64}( \\)?", line
            ), line


def test_the_constraints_are_those_of_the_lock() -> None:
    assert CONSTRAINTS.read_text("utf-8") == constraints(), REMEDY


def test_nothing_is_installed_past_the_locks() -> None:
    """`make`, CI and scripts install with hashes, or without dependencies and index."""
    files = subprocess.run(
        ["git", "ls-files", "Makefile", ".ci", "scripts"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    text = {name: (ROOT / name).read_text("utf-8") for name in files if (ROOT / name).exists()}
    makefile = text["Makefile"]
    assert makefile.count("-m pip install") == 1, "use $(call locked) or $(call checkout)"
    assert re.search(r"^PIP := -m pip install .*--no-build-isolation$", makefile, re.MULTILINE)
    assert re.search(r"^locked = .* \$\(PIP\) --require-hashes ", makefile, re.MULTILINE)
    assert re.search(r"^checkout = .* \$\(PIP\) --no-deps --no-index ", makefile, re.MULTILINE)
    assert len(re.findall(r"\$\(PIP\)", makefile)) == 2
    for name, content in text.items():
        if name.startswith(("scripts/", ".ci/")) and '"pip", "install"' in content:
            assert "--require-hashes" in content, name


def test_the_tools_of_npm_are_locked_without_an_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    packages = lock["packages"]
    assert packages.pop("")["devDependencies"] == wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version, "npm install"
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("numpy>=2.0\n", "does not pin one version"),
        ("numpy\n", "does not pin one version"),
        ("numpy==2.4.6\nNumPy==2.4.6\n", "listed twice"),
    ],
)
def test_a_lock_that_pins_nothing_is_rejected(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_lock(path)


def test_a_lock_is_read_with_its_hashes_and_markers(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text(
        "# a comment\n"
        "Soft_Ware==1.0 ; sys_platform == 'win32' \\\n"
        f"    --hash=sha256:{'a' * 64} \\\n"
        f"    --hash=sha256:{'b' * 64}\n"
        "    # via\n"
        "    #   other\n"
        "    #   anima (pyproject.toml)\n"
        "other==2 \\\n"
        f"    --hash=sha256:{'c' * 64}\n"
        "    # via anima (pyproject.toml)\n"
    )
    locked = read_lock(path)
    assert list(locked) == ["soft-ware", "other"]
    assert locked["soft-ware"].hashes == ("a" * 64, "b" * 64)
    assert not locked["soft-ware"].applies
    assert locked["soft-ware"].version == "1.0"
    assert "other" in locked["soft-ware"].needed_by
    assert locked["other"].applies
