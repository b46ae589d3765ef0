"""Renders the chart with Helm and reads the objects, whose keys must not be given twice."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.requirements import HELM, HELM_3, ROOT, need

CHART = ROOT / "charts" / "anima"
RELEASE = "anima"
NAMESPACE = "talk"
NEWEST = "1.37"
VERSIONS = tuple(f"1.{minor}" for minor in range(25, 38))
PROFILES = ("values", "laptop", "gpu-single", "gpu-large", "airgapped")
CAPACITY: dict[str, Any] = {
    "capacity": {
        "gateway": {"streams": 50},
        "asr": {"streams": 40, "perConversation": 0.4},
        "llm": {"streams": 64, "perConversation": 0.3},
        "memory": {"streams": 64, "perConversation": 0.2},
        "tts": {"streams": 8, "perConversation": 0.4},
        "avatar": {"streams": 12, "perConversation": 0.4},
    }
}
"""A table of capacities, without which the profile gpu-large cannot be rendered."""
EVERYTHING = ROOT / "tests" / "chart" / "everything.yaml"
"""Values that make every template render."""

Object = dict[str, Any]


class ChartError(Exception):
    """Helm has refused the values; the text is its message."""


class Reader(yaml.CSafeLoader):  # type: ignore[misc]
    """Refuses a key that is given twice, which YAML's own loader overlooks."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise ChartError(f"given twice: {', '.join(sorted(twice))}{node.start_mark}")
        return super().construct_mapping(node, deep)


def profile(name: str) -> tuple[Path, ...]:
    """Returns the files of values of a profile; `values` are the defaults."""
    if name == "everything":
        return (EVERYTHING,)
    return () if name == "values" else (CHART / "profiles" / f"{name}.yaml",)


def render(
    values: Mapping[str, Any] | None = None,
    *,
    files: Iterable[Path] = (),
    version: str = NEWEST,
    helm_3: bool = False,
) -> tuple[Object, ...]:
    """Returns the objects that Helm renders.

    Args:
        values: Values over those of the files.
        files: Files of values, the last one wins.
        version: The version of the cluster, "1.37".
        helm_3: Whether Helm 3 renders instead of Helm 4.

    Raises:
        ChartError: Helm refuses the values.
    """
    given = json.dumps(values or {})
    return _render(given, tuple(files), version, helm_3)


def render_profile(name: str, *, version: str = NEWEST, helm_3: bool = False) -> tuple[Object, ...]:
    """Returns the objects of a profile; gpu-large gets a table of capacities."""
    capacity = CAPACITY if name in ("gpu-large", "everything") else None
    return render(capacity, files=profile(name), version=version, helm_3=helm_3)


@functools.cache
def _render(values: str, files: tuple[Path, ...], version: str, helm_3: bool) -> tuple[Object, ...]:
    need("helm")
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "values.json"
        own.write_text(values, encoding="utf-8")
        command = [str(HELM_3 if helm_3 else HELM), "template", RELEASE, str(CHART)]
        command += ["--namespace", NAMESPACE, "--kube-version", f"{version}.0"]
        for file in (*files, own):
            command += ["--values", str(file)]
        home = {"HOME": folder, "PATH": os.environ["PATH"]}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=home)
    if done.returncode:
        raise ChartError(done.stderr)
    # Helm itself reads what it renders with a loader that keeps the last of two equal keys.
    return tuple(each for each in yaml.load_all(done.stdout, Reader) if each)


def of_kind(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    """Returns the objects of a kind by their component, "llm"; a Job's has a hash at its end."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each
        for each in objects
        if each["kind"] == kind
    }


def pods(objects: Iterable[Object]) -> dict[str, Object]:
    """Returns the specs of all pods, by kind and component."""
    found = {}
    for each in objects:
        component = each["metadata"].get("labels", {}).get("app.kubernetes.io/component")
        if each["kind"] in ("Deployment", "Job"):
            found[f"{each['kind']} {component}"] = each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            found[f"Pod {component}"] = each["spec"]
    return found


def container(objects: Iterable[Object], component: str) -> Object:
    """Returns the serving container of a workload."""
    (found,) = of_kind(objects, "Deployment")[component]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(objects: Iterable[Object], component: str) -> dict[str, str]:
    """Returns the variables of a workload; those from Secrets have the text "secret"."""
    variables = container(objects, component)["env"]
    return {each["name"]: each.get("value", "secret") for each in variables}
