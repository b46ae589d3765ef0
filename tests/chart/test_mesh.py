"""What is rendered follows the stage table, the settings and the rules of a rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.stages.spec import GATEWAY, GATEWAY_PORT, GATEWAY_SERVICE, STAGES
from scripts import gen_chart
from services.runtime.config.known_variables import installed_settings, refuse_unknown
from tests.chart.rendering import (
    CAPACITY,
    EVERYTHING,
    NAMESPACE,
    PROFILES,
    ChartError,
    Object,
    container,
    environment,
    of_kind,
    pods,
    render,
    render_profile,
)

ALL = (*PROFILES, "everything")
COMPONENT = "app.kubernetes.io/component"


def test_the_stages_are_those_of_the_stage_table() -> None:
    values = gen_chart.defaults()
    assert {
        name: (entry["module"], entry["port"], entry["healthService"])
        for name, entry in values["stages"].items()
    } == {
        spec.name: (spec.module, spec.default_port, spec.health_service) for spec in STAGES.values()
    }
    edge = values[GATEWAY]
    assert (edge["port"], edge["healthService"]) == (GATEWAY_PORT, GATEWAY_SERVICE)


def test_a_new_stage_is_one_entry() -> None:
    entry = {
        "module": "services.smell",
        "port": 50077,
        "healthService": "anima.smell.v1.SmellService",
    }
    rendered = render({"stages": {"smell": entry}})
    kinds = {each["kind"] for each in rendered if each["metadata"]["labels"][COMPONENT] == "smell"}
    assert kinds == {"Deployment", "Service", "ServiceAccount", "NetworkPolicy"}
    assert environment(rendered, GATEWAY)["ANIMA_GATEWAY_SMELL_TARGET"].endswith(":50077")


@pytest.mark.parametrize("stage", STAGES)
def test_a_disabled_stage_leaves_nothing(stage: str) -> None:
    rendered = render(CAPACITY | {"stages": {stage: {"enabled": False}}}, files=(EVERYTHING,))
    assert all(each["metadata"]["labels"][COMPONENT] != stage for each in rendered)
    for name in {*STAGES, GATEWAY} - {stage}:
        assert not any(f"voice-{stage}." in value for value in environment(rendered, name).values())
    assert all(stage not in edge for edge in edges(rendered))


def test_a_mesh_has_a_gateway() -> None:
    with pytest.raises(ChartError, match=r"gateway\.enabled is false"):
        render({GATEWAY: {"enabled": False}})


@pytest.mark.parametrize("name", ALL)
def test_the_variables_are_settings_that_the_services_accept(name: str, tmp_path: Path) -> None:
    rendered = render_profile(name)
    models = installed_settings()
    for stage in (*STAGES, GATEWAY):
        names = [each["name"] for each in container(rendered, stage)["env"]]
        assert len(names) == len(set(names)), stage
        given = with_files(environment(rendered, stage), container(rendered, stage), tmp_path)
        if "ANIMA_GATEWAY_ICE_SERVERS" in given:
            given["ANIMA_GATEWAY_ICE_SERVERS"] = '[{"urls": "stun:example.org:3478"}]'
        refuse_unknown(models[stage], given)
        settings = models[stage].from_environment(given)
        (port, *_) = container(rendered, stage)["ports"]
        assert settings.listen == f"0.0.0.0:{port['containerPort']}"
        assert settings.metrics_listen == "0.0.0.0:9100"


def with_files(given: dict[str, str], serving: Object, folder: Path) -> dict[str, str]:
    """Returns the variables with files of the test where the pod has those of its Secrets."""
    mounts = [each["mountPath"] for each in serving["volumeMounts"]]
    for name, value in given.items():
        if value.startswith("/etc/anima/"):
            assert any(f"{value}/".startswith(f"{mount}/") for mount in mounts), name
            file = folder / value.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("a token that is long enough", encoding="utf-8")
            given[name] = str(file)
    return given


@pytest.mark.parametrize("name", ALL)
def test_a_pod_is_killed_only_after_its_drain(name: str) -> None:
    rendered = render_profile(name)
    values = gen_chart.defaults()
    for stage in (*STAGES, GATEWAY):
        spec = of_kind(rendered, "Deployment")[stage]["spec"]
        pod = spec["template"]["spec"]
        before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = float(environment(rendered, stage)[f"ANIMA_{stage.upper()}_DRAIN_TIMEOUT_S"])
        margin = values["defaults"]["drain"]["marginS"]
        assert pod["terminationGracePeriodSeconds"] == before + drain + margin
        probe = pod["containers"][0]["startupProbe"]
        loading = probe["periodSeconds"] * probe["failureThreshold"]
        assert spec["progressDeadlineSeconds"] > pod["terminationGracePeriodSeconds"] + loading


@pytest.mark.parametrize("name", ALL)
def test_targets_are_every_replica_behind_a_headless_service(name: str) -> None:
    rendered = render_profile(name)
    services = of_kind(rendered, "Service")
    for stage, spec in STAGES.items():
        service = services[stage]
        target = f"{service['metadata']['name']}.{NAMESPACE}.svc.cluster.local:{spec.default_port}"
        assert environment(rendered, GATEWAY)[spec.target_variable] == f"dns:///{target}"
        assert service["spec"]["clusterIP"] == "None"
        pod = of_kind(rendered, "Deployment")[stage]["spec"]["template"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert "clusterIP" not in services[GATEWAY]["spec"]
    assert services[GATEWAY]["spec"]["sessionAffinity"] == "ClientIP"


def edges(rendered: Any) -> set[tuple[str, str]]:
    """Returns who may call whom, as both ends of the network policies say."""
    out: set[tuple[str, str]] = set()
    into: set[tuple[str, str]] = set()
    for policy in rendered:
        if policy["kind"] != "NetworkPolicy":
            continue
        name = policy["spec"]["podSelector"]["matchLabels"][COMPONENT]
        if name == "models":
            continue
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["spec"]["egress"]:
            out |= {(name, peer) for peer in _peers(rule.get("to", ()))}
        for rule in policy["spec"]["ingress"]:
            into |= {(peer, name) for peer in _peers(rule.get("from", ()))} - {("test", GATEWAY)}
    assert out == into
    return out


def _peers(peers: Any) -> set[str]:
    selectors = [each.get("podSelector", {}).get("matchLabels", {}) for each in peers]
    return {each[COMPONENT] for each in selectors if COMPONENT in each}


@pytest.mark.parametrize("name", ALL)
def test_the_edges_of_the_network_are_those_of_the_mesh(name: str) -> None:
    expected = {(GATEWAY, stage) for stage in STAGES}
    if name == "everything":
        expected |= {("memory", "llm")}
    assert edges(render_profile(name)) == expected


def test_a_stage_that_calls_another_gets_its_address_and_token() -> None:
    rendered = render({"stages": {"memory": {"calls": ["llm"]}}})
    given = environment(rendered, "memory")
    assert given["ANIMA_MEMORY_LLM_TARGET"] == "dns:///anima-llm.talk.svc.cluster.local:50052"
    assert given["ANIMA_MEMORY_LLM_TOKEN"] == "secret"
    with pytest.raises(ChartError, match=r"memory\.calls names smell"):
        render({"stages": {"memory": {"calls": ["smell"]}}})


def test_a_persons_token_opens_no_stage() -> None:
    found = pods(render_profile("values"))
    for stage in STAGES:
        (auth,) = [v for v in found[f"Deployment {stage}"]["volumes"] if v["name"] == "auth"]
        assert [each["key"] for each in auth["secret"]["items"]] == ["stage-token"]
    (auth,) = [v for v in found["Deployment gateway"]["volumes"] if v["name"] == "auth"]
    assert [each["key"] for each in auth["secret"]["items"]] == ["token"]


def test_with_identities_only_callers_hold_the_key_that_signs() -> None:
    identities = {
        "enabled": True,
        "keys": {"secret": "public"},
        "signingKey": {"secret": "private"},
    }
    rendered = render(
        {"auth": {"identities": identities}, "stages": {"memory": {"calls": ["llm"]}}}
    )
    assert not of_kind(rendered, "Secret")
    signing = {
        stage
        for stage in (*STAGES, GATEWAY)
        if "ANIMA_IDENTITY_SIGNING_KEY_FILE" in environment(rendered, stage)
    }
    holding = {
        who.partition(" ")[2]
        for who, pod in pods(rendered).items()
        if any(each.get("secret", {}).get("secretName") == "private" for each in pod["volumes"])
    }
    assert signing == holding == {GATEWAY, "memory"}


def test_a_gpu_stage_loses_a_pod_before_it_gets_the_new_one() -> None:
    deployments = of_kind(render_profile("gpu-large"), "Deployment")
    strategies = {name: each["spec"]["strategy"] for name, each in deployments.items()}
    careful = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    quick = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert {name for name, each in strategies.items() if each == careful} == {
        "asr",
        "llm",
        "avatar",
    }
    assert {name for name, each in strategies.items() if each == quick} == {
        GATEWAY,
        "memory",
        "tts",
    }
    memory = of_kind(render_profile("values"), "Deployment")["memory"]
    assert memory["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2},
        {"autoscaling": {"enabled": True}},
        {"replicas": 2, "storage": {"singleWriter": False}},
    ],
    ids=["two pods", "autoscaling", "a volume of one node"],
)
def test_one_pod_at_most_writes_a_volume_of_its_own(values: Object) -> None:
    with pytest.raises(ChartError, match="memory has a volume of its own"):
        render(CAPACITY | {"stages": {"memory": values}})


def test_one_replica_has_no_disruption_budget() -> None:
    rendered = render({"stages": {"tts": {"replicas": 2}}})
    assert set(of_kind(rendered, "PodDisruptionBudget")) == {GATEWAY, "tts"}
