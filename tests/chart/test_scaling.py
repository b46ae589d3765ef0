"""Autoscaling follows the streams, and the table of capacities sizes the stages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.stages.spec import GATEWAY, STAGES
from tests.chart.rendering import (
    CAPACITY,
    CHART,
    ChartError,
    environment,
    of_kind,
    render,
    render_profile,
)
from tests.chart.test_monitoring import metrics_in

ON = {"enabled": True}
TTS: dict[str, Any] = {"capacity": {"tts": {"streams": 8, "perConversation": 0.4}}}


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_autoscaling_needs_the_capacity(kind: str) -> None:
    values = {"stages": {"tts": {"autoscaling": ON | {"kind": kind}}}}
    with pytest.raises(
        ChartError, match=r"tts is scaled by its streams, so capacity\.tts\.streams"
    ):
        render(values)
    rendered = render(values | TTS)
    assert "replicas" not in of_kind(rendered, "Deployment")["tts"]["spec"]
    assert environment(rendered, "tts")["ANIMA_TTS_CAPACITY"] == "8"
    assert "ANIMA_LLM_CAPACITY" not in environment(rendered, "llm")


def test_what_is_scaled_is_the_deployment_by_its_streams() -> None:
    rendered = render_profile("gpu-large")
    deployments = of_kind(rendered, "Deployment")
    for name, scaler in of_kind(rendered, "HorizontalPodAutoscaler").items():
        spec = scaler["spec"]
        assert spec["scaleTargetRef"]["name"] == deployments[name]["metadata"]["name"]
        metrics = [each["pods"]["metric"]["name"] for each in spec["metrics"]]
        ratios = (
            ["anima_session_ratio"]
            if name == GATEWAY
            else ["anima_stream_ratio", "anima_demand_ratio"]
        )
        assert metrics == ratios
        assert {each["pods"]["target"]["averageValue"] for each in spec["metrics"]} == {"0.7"}
        down = spec["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 300
        assert [each["value"] for each in down["policies"]] == [1]


def test_the_adapter_has_every_metric_of_the_autoscalers() -> None:
    rules = yaml.safe_load((CHART / "files" / "prometheus-adapter.yaml").read_text("utf-8"))
    named = {rule["name"]["as"]: rule["metricsQuery"] for rule in rules["rules"]["custom"]}
    scalers = of_kind(render_profile("gpu-large"), "HorizontalPodAutoscaler")
    assert set(named) == {
        each["pods"]["metric"]["name"] for s in scalers.values() for each in s["spec"]["metrics"]
    }
    for query in named.values():
        # Without its matchers a query would add up all releases of the cluster.
        assert query.count("<<.LabelMatchers>>") == len(metrics_in(query))


def test_only_keda_scales_from_zero() -> None:
    to_zero = {"stages": {"tts": {"autoscaling": ON | {"min": 0}}}}
    with pytest.raises(ChartError, match=r"only KEDA scales from zero"):
        render(to_zero | TTS)
    values = {"stages": {"tts": {"autoscaling": ON | {"min": 0, "kind": "keda"}}}}
    (scaled,) = of_kind(render(values | TTS), "ScaledObject").values()
    demand, waking = scaled["spec"]["triggers"]
    assert scaled["spec"]["minReplicaCount"] == 0
    assert scaled["spec"]["fallback"]["replicas"] == 1
    assert float(demand["metadata"]["threshold"]) == pytest.approx(8 * 0.7)
    # "asleep" is what the gateway reports; without the gateway's metrics nothing is known.
    assert "or 0 * max(anima_gateway_sessions" in demand["metadata"]["query"]
    assert "anima_gateway_sessions" in waking["metadata"]["query"]
    assert waking["metadata"]["activationThreshold"] == "0"
    assert {each["metadata"]["ignoreNullValues"] for each in scaled["spec"]["triggers"]} == {
        "false"
    }


def test_a_stage_that_never_sleeps_is_not_woken() -> None:
    values = {"stages": {"tts": {"autoscaling": ON | {"kind": "keda"}}}}
    (scaled,) = of_kind(render(values | TTS), "ScaledObject").values()
    (demand,) = scaled["spec"]["triggers"]
    assert "anima_gateway_sessions" not in demand["metadata"]["query"]


def test_the_pods_are_in_the_ratio_of_their_measured_capacity() -> None:
    rendered = render(CAPACITY | {"conversations": 100})
    deployments = of_kind(rendered, "Deployment")
    for name in {*STAGES, GATEWAY} - {"memory"}:
        entry = CAPACITY["capacity"][name]
        needed = math.ceil(100 * entry.get("perConversation", 1) / entry["streams"])
        least = 2 if name == GATEWAY else 1
        assert deployments[name]["spec"]["replicas"] == max(needed, least), name
    assert deployments["memory"]["spec"]["replicas"] == 1
    values = {"conversations": 100, "stages": {"tts": {"autoscaling": ON}}}
    (scaler,) = of_kind(render(CAPACITY | values), "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["minReplicas"] == 5
    with pytest.raises(ChartError, match=r"conversations is set, so capacity\.\w+\.streams"):
        render({"conversations": 100})


def test_more_pods_than_the_most_are_refused() -> None:
    values = {"stages": {"tts": {"autoscaling": ON | {"min": 5, "max": 4}}}}
    with pytest.raises(ChartError, match=r"autoscaling\.max is 4, but at least 5"):
        render(values | TTS)


def test_the_profile_of_a_claim_per_release_has_one_job_per_list() -> None:
    def job(**models: Any) -> str:
        found = of_kind(render({"models": {"kind": "claim"} | models}), "Job")
        (name,) = (each["metadata"]["name"] for each in found.values())
        return Path(name).name

    assert job() == job()
    assert job() != job(names=["voices"])
