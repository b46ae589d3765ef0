"""Compares every locked package with a database of known vulnerabilities, without a network.

    OSV_DATABASE=FOLDER_OR_ZIP make audit

The database is an export of osv.dev for PyPI or npm (`all.zip`), or a checkout of PyPA's advisory
database. pins/audit.toml lists accepted findings with reason and expiry date.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from scripts.supply.advisories import Audit, Finding, audit, locked_packages, read_waivers

NOT_RUN = """
!!! NOT RUN: no database of vulnerabilities. Set OSV_DATABASE to an export of osv.dev (the file
!!! all.zip of PyPI, or its folder) or to a checkout of PyPA's advisory database.
"""


def main(arguments: list[str] | None = None) -> None:
    """Prints the findings; exits with 1 if one is not accepted or a waiver has expired."""
    parser = argparse.ArgumentParser(description="Compares the locks with known vulnerabilities.")
    parser.add_argument("--database", type=Path, action="append", help="default: OSV_DATABASE")
    parser.add_argument("--exceptions", type=Path, help="default: pins/audit.toml")
    options = parser.parse_args(arguments)
    databases = options.database or [
        Path(each) for each in os.environ.get("OSV_DATABASE", "").split(os.pathsep) if each
    ]
    if not databases:
        print(NOT_RUN)
        sys.exit(os.environ.get("ANIMA_REQUIRE_ALL") == "1")
    waivers = read_waivers(options.exceptions) if options.exceptions else read_waivers()
    pins = locked_packages()
    failed = False
    for database in databases:
        if not database.exists():
            sys.exit(f"{database} does not exist; OSV_DATABASE names a folder or a zip")
        found = audit(database, pins, waivers, today=datetime.now(UTC).date())
        day = found.newest[:10] or "an unknown day"
        print(f"{len(pins)} locked packages, {found.records} records, the newest of {day}")
        report(found)
        failed |= bool(found.open or found.expired)
    sys.exit(failed)


def report(found: Audit) -> None:
    """Prints the findings of a database."""
    for finding in found.open:
        print(f"VULNERABLE {_line(finding)}")
    for finding in found.waived:
        print(f"accepted   {_line(finding)}")
    for waiver in found.expired:
        print(f"EXPIRED    {waiver.id} of {waiver.package}, on {waiver.expires}: {waiver.reason}")
    for waiver in found.unused:
        print(f"unused     {waiver.id} of {waiver.package}: remove it from pins/audit.toml")
    if not found.open and not found.expired:
        print("no known vulnerability that is not accepted")


def _line(finding: Finding) -> str:
    pin = finding.pin
    remedy = f"fixed in {', '.join(finding.fixed)}" if finding.fixed else "no fix is known"
    where = ", ".join(pin.locks)
    ids = " ".join(finding.ids)
    return f"{pin.name} {pin.version} ({where}): {ids}; {remedy}\n           {finding.summary}"


if __name__ == "__main__":
    main()
