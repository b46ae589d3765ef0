"""Checks rendered objects against the schemas of Kubernetes and of the custom resources."""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

from tests.chart.rendering import Object
from tests.requirements import need

SCHEMAS = Path(__file__).parent / "schemas"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|[KMGTPE]i|[MGTPE])?")
_ENUMS = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "pullPolicy": {"Always", "IfNotPresent", "Never"},
    "protocol": {"TCP", "UDP"},
    "restartPolicy": {"Always", "Never", "OnFailure"},
    "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
    "terminationMessagePolicy": {"File", "FallbackToLogsOnError"},
}


def faults(thing: Object, version: str) -> list[str]:
    """Returns what is wrong with an object on a version of Kubernetes."""
    who = f"{thing['kind']} {thing['metadata']['name']} on {version}"
    errors = _validator(thing["apiVersion"], thing["kind"], version).iter_errors(thing)
    found = [f"{who}: {'.'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in errors]
    if not _NAME.fullmatch(thing["metadata"]["name"]):
        found.append(f"{who}: the name is no DNS label")
    return found + [f"{who}: {fault}" for fault in _unchecked(thing)]


@functools.cache
def _validator(api: str, kind: str, version: str) -> jsonschema.Draft202012Validator:
    own = SCHEMAS / f"{kind}.json"
    if own.exists():
        schema = json.loads(own.read_text("utf-8"))
        assert schema["properties"]["apiVersion"] == {"const": api}, f"{own.name} is not of {api}"
        return jsonschema.Draft202012Validator(schema)
    folder = _folder(version)
    name = f"{kind.lower()}-" + re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    file = folder / f"{name}.json"
    if not file.is_file():
        raise AssertionError(f"Kubernetes {version} has no {api} {kind}")
    schema = json.loads(file.read_text("utf-8"))
    registry = Resource.from_contents(schema) @ _definitions(version)
    return jsonschema.Draft202012Validator(schema, registry=registry)


def _folder(version: str) -> Any:
    need("kubernetes-schemas")
    root = importlib.resources.files("kubernetes_validate")
    return root / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@functools.cache
def _definitions(version: str) -> Any:
    text = (_folder(version) / "_definitions.json").read_text("utf-8")
    return Resource.from_contents(json.loads(text)) @ Registry()


def _unchecked(node: Any) -> Iterator[str]:
    """Yields what the schemas of Kubernetes let through: numbers of ports, quantities, enums."""
    if isinstance(node, list):
        for each in node:
            yield from _unchecked(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _ENUMS and value not in _ENUMS[key]:
            yield f"{key} is {value}"
        is_port = key in ("containerPort", "port", "targetPort") and isinstance(value, int)
        if is_port and not 1 <= value <= 65535:
            yield f"{key} is {value}"
        if key in ("requests", "limits") and isinstance(value, dict):
            yield from (
                f"{key} has {name} {quantity}"
                for name, quantity in value.items()
                if not _QUANTITY.fullmatch(str(quantity))
            )
        yield from _unchecked(value)
