"""The checks of these tests find what is wrong: each fault is put into a rendered object."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    NEWEST,
    ChartError,
    Object,
    Reader,
    of_kind,
    render_profile,
)
from tests.chart.validation import faults


def _spoil(path: str, value: Any) -> Callable[[Object], None]:
    def spoil(thing: Object) -> None:
        node: Any = thing
        *steps, last = path.split(".")
        for step in steps:
            node = node[int(step) if step.isdigit() else step]
        node[last] = value

    return spoil


_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers.0"


@pytest.mark.parametrize(
    ("kind", "component", "spoil"),
    [
        ("Deployment", "llm", _spoil(f"{_POD}.restartPolicies", "Always")),
        ("Deployment", "llm", _spoil(f"{_POD}.terminationGracePeriodSeconds", "80")),
        ("Deployment", "llm", _spoil(f"{_CONTAINER}.imagePullPolicy", "Sometimes")),
        ("Deployment", "llm", _spoil(f"{_CONTAINER}.readinessProbe.grpc.port", 99999)),
        ("Deployment", "llm", _spoil(f"{_CONTAINER}.resources.limits.memory", "12Gx")),
        ("Deployment", "llm", _spoil("metadata.name", "X_bad")),
        ("Deployment", "llm", lambda thing: thing["spec"].pop("selector")),
        ("Service", "llm", _spoil("spec.ports.0.protcol", "TCP")),
        ("ScaledObject", "tts", _spoil("spec.triggers.0.metadata.threshold", 5)),
        ("ScaledObject", "tts", _spoil("spec.minReplicas", 1)),
        ("HTTPRoute", "gateway", _spoil("spec.rules.0.timeouts.request", "0")),
        ("GRPCRoute", "gateway", _spoil("spec.rules.0.timeouts", {"request": "0s"})),
        ("PodMonitor", "mesh", _spoil("spec.podMetricsEndpoints", [])),
        ("PrometheusRule", "mesh", _spoil("spec.groups.0.rules.0.for", "2 minutes")),
    ],
)
def test_a_fault_is_found(kind: str, component: str, spoil: Callable[[Object], Any]) -> None:
    source = "gpu-large" if kind == "Deployment" else "everything"
    thing = copy.deepcopy(of_kind(render_profile(source), kind)[component])
    assert faults(thing, NEWEST) == []
    spoil(thing)
    assert faults(thing, NEWEST)


def test_a_kind_that_the_version_lacks_is_found() -> None:
    thing = {"apiVersion": "autoscaling/v2beta2", "kind": "HorizontalPodAutoscaler"}
    with pytest.raises(AssertionError, match=r"1\.37 has no autoscaling/v2beta2"):
        faults(thing | {"metadata": {"name": "llm"}}, NEWEST)


def test_a_key_that_is_given_twice_is_found() -> None:
    with pytest.raises(ChartError, match="given twice: labels"):
        yaml.load("metadata: {labels: {}, name: a, labels: {}}", Reader)
