"""The default install has only licences that are allowed, or exceptions with a reason."""

from __future__ import annotations

import ctypes
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scripts.gen_licences import BILL, PAGE, page
from scripts.supply.licences import (
    Package,
    Rules,
    bundled_in,
    forbidden_parts,
    packages,
    read_rules,
)
from scripts.supply.locks import PINS, read_lock

REMEDY = "run `make locks`, check pins/licences.toml and commit docs/"
RULES = read_rules()
DEFAULT = packages(PINS / "anima.lock", RULES)
LINUX = pytest.mark.skipif(
    sys.platform != "linux" or not sys.maxsize > 2**32, reason="the wheels of Linux"
)


def _all_parts(package: Package, rules: Rules) -> list[str]:
    licences = [package.licence, *rules.bundled.get(package.name, {}).values()]
    return [part for each in licences for part in forbidden_parts(each, rules)]


def test_the_packages_of_the_default_install_may_be_used() -> None:
    forbidden = {
        each.name: (each.licence, parts) for each in DEFAULT if (parts := _all_parts(each, RULES))
    }
    excepted = RULES.exceptions.keys()
    assert not {name: forbidden[name] for name in forbidden.keys() - excepted}, REMEDY
    assert excepted <= forbidden.keys(), f"no exceptions: {excepted - forbidden.keys()}"
    assert min(len(reason) for reason in RULES.exceptions.values()) > 40


def test_the_rules_name_only_what_is_locked() -> None:
    default = {package.name for package in DEFAULT}
    assert RULES.exceptions.keys() <= default
    assert RULES.bundled.keys() <= default
    assert RULES.stated.keys() <= read_lock(PINS / "dev.lock").keys()


@pytest.mark.parametrize("lock", ["server", "dev"])
def test_every_licence_is_known(lock: str) -> None:
    unknown = [each.name for each in packages(PINS / f"{lock}.lock", RULES) if not each.licence]
    assert unknown == [], REMEDY


def test_the_extras_of_servers_may_be_used() -> None:
    for package in packages(PINS / "server.lock", RULES):
        if package.name not in RULES.exceptions:
            assert not _all_parts(package, RULES), package


@LINUX
def test_every_library_in_a_wheel_is_listed() -> None:
    found = {
        name: libraries
        for name, entry in read_lock(PINS / "anima.lock").items()
        if entry.applies and (libraries := bundled_in(name))
    }
    assert found == {name: each.keys() for name, each in RULES.bundled.items()}, REMEDY


@LINUX
@pytest.mark.parametrize(
    ("package", "reported"),
    [("av", "LGPL version 3 or later"), ("opencv-python-headless", "LGPL version 2.1 or later")],
)
def test_ffmpeg_reports_the_licence_that_is_listed(package: str, reported: str) -> None:
    distribution = metadata.distribution(package)
    (library,) = [each for each in distribution.files or () if each.name.startswith("libavutil")]
    report = ctypes.CDLL(str(distribution.locate_file(library))).avutil_license
    report.restype = ctypes.c_char_p
    assert report().decode() == reported
    assert reported in RULES.exceptions[package]


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("MIT", []),
        ("GPL-3.0-or-later OR MIT", []),
        ("MIT AND AGPL-3.0-only", ["AGPL-3.0-only"]),
        ("(GPL-2.0-only OR LGPL-2.1-only) AND MIT", ["GPL-2.0-only", "LGPL-2.1-only"]),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", []),
        ("CC-BY-NC-4.0", ["CC-BY-NC-4.0"]),
        ("", ["not stated"]),
    ],
)
def test_a_licence_is_judged_by_its_parts(licence: str, forbidden: list[str]) -> None:
    assert forbidden_parts(licence, RULES) == forbidden


def test_the_page_is_that_of_the_locks() -> None:
    assert PAGE.read_text("utf-8") == page(), REMEDY


def test_the_page_names_no_folder_of_this_machine() -> None:
    for path in (PAGE, BILL):
        assert str(Path.home()) not in path.read_text("utf-8")
        assert "file://" not in path.read_text("utf-8")
