"""docs/sbom.cdx.json: the bill of materials of the default install."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion

from scripts.gen_licences import BILL, bill
from scripts.supply.locks import PINS, read_lock

REMEDY = "run `make locks`, and commit docs/"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="dependencies differ with Python")
def test_the_bill_of_materials_is_that_of_the_locks() -> None:
    assert BILL.read_text("utf-8") == bill(), REMEDY


def test_the_bill_of_materials_is_valid_and_complete() -> None:
    # Only now: it builds grammars for seconds, in each process that collects the tests.
    from cyclonedx.validation.json import JsonStrictValidator

    text = BILL.read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    version = SchemaVersion.from_version(content["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    libraries = {each["name"]: each for each in content["components"] if each["type"] == "library"}
    locked = read_lock(PINS / "anima.lock")
    assert libraries.keys() == locked.keys()
    for name, entry in locked.items():
        assert libraries[name]["version"] == entry.version
        (distribution,) = libraries[name]["externalReferences"]
        assert {each["content"] for each in distribution["hashes"]} == set(entry.hashes)
    listed = {each["ref"]: each["dependsOn"] for each in content["dependencies"]}
    assert len(listed["root-component"]) > 30
    assert f"numpy=={locked['numpy'].version}" in listed[f"onnx=={locked['onnx'].version}"]
