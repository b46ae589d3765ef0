"""Dashboard, alerts and rules name metrics that the services export, and pages that exist."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import gateway.metrics
import memory.service.metrics
import services.avatar.metrics
import services.llm.metrics
import services.runtime.limits.rates
from services.runtime.observing.metrics import ServerMetrics
from tests.chart.rendering import CHART, NAMESPACE, of_kind, render, render_profile
from tests.requirements import ROOT

EXPORTING = (
    gateway.metrics,
    memory.service.metrics,
    services.avatar.metrics,
    services.llm.metrics,
    services.runtime.limits.rates,
)
_METRIC = re.compile(r"\banima_[a-z_]+(?=\{)")


def metrics_in(query: str) -> list[str]:
    """Returns the metrics that a query reads, as often as it reads them."""
    return _METRIC.findall(query)


@cache
def exported() -> frozenset[str]:
    """Returns the names of all metrics of the services."""
    assert all(EXPORTING)
    names = set()
    for registry in (REGISTRY, ServerMetrics().registry):
        for metric in registry.collect():
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
            names |= {metric.name + end for end in endings.get(metric.type, ("",))}
    return frozenset(names)


@cache
def alerts() -> tuple[dict[str, Any], ...]:
    (rule,) = of_kind(render_profile("gpu-large"), "PrometheusRule").values()
    return tuple(each for group in rule["spec"]["groups"] for each in group["rules"])


def dashboard() -> dict[str, Any]:
    (config,) = of_kind(render_profile("gpu-large"), "ConfigMap").values()
    (text,) = config["data"].values()
    found: dict[str, Any] = json.loads(text)
    return found


def test_every_alert_reads_metrics_that_exist() -> None:
    assert len(alerts()) > 10
    for alert in alerts():
        read = metrics_in(alert["expr"])
        assert read, alert["alert"]
        assert set(read) <= exported(), alert["alert"]
        # Another release of the cluster, or of the namespace, is not meant.
        assert alert["expr"].count(f'namespace="{NAMESPACE}",pod=~"anima-') == len(read)


def test_every_alert_has_its_line_in_the_runbook() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^### (\w+)\n\n\S", text, re.MULTILINE)
    assert sorted(headings) == sorted(alert["alert"] for alert in alerts())
    for alert in alerts():
        anchor = alert["annotations"]["runbook"].removeprefix("docs/operations.md#")
        assert anchor == alert["alert"].lower()


def test_every_panel_reads_metrics_that_exist() -> None:
    panels = dashboard()["panels"]
    titles = " ".join(panel["title"] for panel in panels)
    for what in ("wait", "Streams and capacity", "Refusals", "Glitches", "Offset"):
        assert what in titles
    for panel in panels:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert metrics_in(target["expr"]), panel["title"]
            assert set(metrics_in(target["expr"])) <= exported(), panel["title"]


def test_the_adapter_reads_metrics_that_exist() -> None:
    rules = yaml.safe_load((CHART / "files" / "prometheus-adapter.yaml").read_text("utf-8"))
    for rule in rules["rules"]["custom"]:
        assert {*metrics_in(rule["seriesQuery"]), *metrics_in(rule["metricsQuery"])} <= exported()


def test_prometheus_finds_every_serving_pod() -> None:
    rendered = render_profile("gpu-large")
    (monitor,) = of_kind(rendered, "PodMonitor").values()
    selector = monitor["spec"]["selector"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for name, deployment in of_kind(rendered, "Deployment").items():
        pod = deployment["spec"]["template"]
        assert selector["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (ports,) = [each["ports"] for each in pod["spec"]["containers"]]
        assert endpoint["port"] in [port["name"] for port in ports], name
        policy = of_kind(rendered, "NetworkPolicy")[name]["spec"]
        assert any(port["port"] == "metrics" for r in policy["ingress"] for port in r["ports"])
    (rule,) = selector["matchExpressions"]
    assert rule["operator"] == "NotIn"


@pytest.mark.parametrize("part", ["podMonitor", "rules", "dashboard"])
def test_each_part_is_its_own_choice(part: str) -> None:
    kinds = {"podMonitor": "PodMonitor", "rules": "PrometheusRule", "dashboard": "ConfigMap"}
    rendered = render({"monitoring": {part: {"enabled": True}}})
    found = {each["kind"] for each in rendered} & set(kinds.values())
    assert found == {kinds[part]}
