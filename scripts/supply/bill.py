"""The bill of materials of the default install, in the format of CycloneDX."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from packaging.utils import canonicalize_name

from scripts.supply.licences import Package, Rules
from scripts.supply.locks import PINS, ROOT, Locked, read_lock
from services.runtime.models.registry import Model, installed_registry

_OUT_OF: Final = "https://pypi.org/project/{name}/{version}/"


def bill_of_materials(packages: list[Package], rules: Rules) -> str:
    """Returns the bill as JSON.

    cyclonedx-py describes the environment it runs in, tests included. Of that, the packages of
    `pins/anima.lock` stay; licences, hashes, bundled libraries and model files are added.

    Args:
        packages: The packages of `pins/anima.lock`.
        rules: What is known of their licences.
    """
    bill: dict[str, Any] = json.loads(_environment())
    locked = read_lock(PINS / "anima.lock")
    by_name = {package.name: package for package in packages}
    described = {canonicalize_name(each["name"]): each for each in bill["components"]}
    components = [
        _component(described.get(canonicalize_name(name), {}), package, locked[name], rules)
        for name, package in by_name.items()
    ]
    root = bill["metadata"]["component"]["bom-ref"]
    known = {each["bom-ref"] for each in components} | {root}
    renamed = {
        each["bom-ref"]: _reference(by_name[name])
        for name, each in described.items()
        if name in by_name
    } | {root: root}
    bill["dependencies"] = sorted(
        (
            {
                "ref": renamed[each["ref"]],
                "dependsOn": sorted(
                    {renamed[ref] for ref in each.get("dependsOn", ()) if ref in renamed} & known
                ),
            }
            for each in bill["dependencies"]
            if each["ref"] in renamed
        ),
        key=lambda each: str(each["ref"]),
    )
    models = [
        _model(name, each) for name, each in sorted(installed_registry().items()) if each.embedded
    ]
    bill["components"] = components + models
    bill["metadata"].pop("tools", None)  # their versions are in pins/dev.lock
    return json.dumps(bill, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _environment() -> str:
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "environment", sys.executable),
        *("--pyproject", "pyproject.toml", "--output-reproducible", "--no-validate"),
        *("--short-PURLs", "--of", "JSON"),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _reference(package: Package) -> str:
    return f"{package.name}=={package.version}"


def _component(
    described: dict[str, Any], package: Package, locked: Locked, rules: Rules
) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _reference(package),
        "name": package.name,
        "version": package.version,
        "purl": f"pkg:pypi/{package.name}@{package.version}",
        "licenses": _licences(package.licence),
        "externalReferences": [
            {
                "type": "distribution",
                "url": _OUT_OF.format(name=package.name, version=package.version),
                "hashes": [{"alg": "SHA-256", "content": each} for each in locked.hashes],
            }
        ],
    }
    if "description" in described:
        component["description"] = described["description"]
    bundled = rules.bundled.get(package.name, {})
    if bundled:
        component["components"] = [
            {
                "type": "library",
                "bom-ref": f"{_reference(package)}/{name}",
                "name": name,
                "licenses": _licences(licence),
            }
            for name, licence in bundled.items()
        ]
    return component


def _model(name: str, spec: Model) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model/{name}",
        "name": name,
        "description": spec.description,
        "licenses": _licences(spec.licence),
        "components": [
            {
                "type": "file",
                "bom-ref": f"model/{name}/{file.name}",
                "name": file.name,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
            }
            for file in spec.files
        ],
    }


def _licences(licence: str) -> list[dict[str, str]]:
    return [{"expression": licence}] if licence else []
