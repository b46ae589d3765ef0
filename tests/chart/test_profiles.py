"""Every profile is valid on every version of Kubernetes, and safe to run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.chart.rendering import (
    CHART,
    NEWEST,
    PROFILES,
    VERSIONS,
    ChartError,
    Object,
    of_kind,
    pods,
    profile,
    render,
    render_profile,
)
from tests.chart.validation import faults
from tests.requirements import HELM, HELM_3, need

ALL = (*PROFILES, "everything")
NO_IMAGE_VOLUMES = {"models": {"kind": "claim", "job": {"enabled": False}}}
"""Instead of an OCI image volume, which Kubernetes knows since 1.31."""


def objects_of(name: str, version: str) -> tuple[Object, ...]:
    if name == "airgapped" and int(version.partition(".")[2]) < 31:
        return render(NO_IMAGE_VOLUMES, files=profile(name), version=version)
    return render_profile(name, version=version)


@pytest.mark.parametrize("helm", [HELM, HELM_3], ids=["Helm 4", "Helm 3"])
def test_the_linter_of_helm_finds_nothing(helm: Path) -> None:
    need("helm")
    command = [str(helm), "lint", "--strict", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_profile_is_tested() -> None:
    shipped = {file.stem for file in (CHART / "profiles").glob("*.yaml")}
    assert shipped | {"values"} == set(PROFILES)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_profile_is_valid(version: str) -> None:
    found = []
    for name in ALL:
        rendered = objects_of(name, version)
        if name == "everything" and int(version.partition(".")[2]) < 31:
            rendered = without_claims(rendered)
        found += [f"{name}: {fault}" for thing in rendered for fault in faults(thing, version)]
    assert not found, "\n".join(found[:20])


def without_claims(rendered: tuple[Object, ...]) -> tuple[Object, ...]:
    """Leaves out the pods with claims of dynamic resource allocation in the form of 1.31."""
    claiming = {who for who, pod in pods(rendered).items() if "resourceClaims" in pod}
    assert claiming == {"Deployment llm"}
    return tuple(
        each
        for each in rendered
        if each["kind"] != "Deployment" or not each["metadata"]["name"].endswith("-llm")
    )


@pytest.mark.parametrize("name", ALL)
def test_no_object_is_rendered_twice(name: str) -> None:
    rendered = render_profile(name)
    keys = [(each["kind"], each["metadata"]["name"]) for each in rendered]
    assert len(keys) == len(set(keys)) > 20


@pytest.mark.parametrize("name", ALL)
def test_helm_3_renders_the_same(name: str) -> None:
    def comparable(rendered: tuple[Object, ...]) -> list[Object]:
        # The tokens are random.
        found = [each for each in rendered if each["kind"] != "Secret"]
        return sorted(found, key=lambda each: (each["kind"], each["metadata"]["name"]))

    assert comparable(render_profile(name)) == comparable(render_profile(name, helm_3=True))


@pytest.mark.parametrize("name", ALL)
def test_every_pod_keeps_to_restricted_pod_security(name: str) -> None:
    found = pods(render_profile(name))
    assert len(found) >= 7
    for who, pod in found.items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"], who
        assert security["runAsUser"] > 0, who
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, who
        assert pod["automountServiceAccountToken"] is False, who
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), who
        allowed = {"emptyDir", "secret", "configMap", "persistentVolumeClaim", "image"}
        assert all((each.keys() - {"name"}) <= allowed for each in pod["volumes"]), who
        for each in (*pod["containers"], *pod.get("initContainers", ())):
            own = each["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, who
            assert own["readOnlyRootFilesystem"] is True, who
            assert own["capabilities"] == {"drop": ["ALL"]}, who
            assert "privileged" not in own, who
            assert each["resources"]["limits"]["memory"], who


@pytest.mark.parametrize("name", ALL)
def test_only_the_job_writes_the_models(name: str) -> None:
    for who, pod in pods(render_profile(name)).items():
        for each in (*pod["containers"], *pod.get("initContainers", ())):
            for mount in each["volumeMounts"]:
                if mount["name"] == "models":
                    assert mount.get("readOnly", False) is not who.startswith("Job "), who


@pytest.mark.parametrize("name", ALL)
def test_what_a_pod_mounts_is_a_volume_of_it(name: str) -> None:
    for who, pod in pods(render_profile(name)).items():
        volumes = [each["name"] for each in pod["volumes"]]
        assert len(volumes) == len(set(volumes)), who
        for each in (*pod["containers"], *pod.get("initContainers", ())):
            assert {mount["name"] for mount in each["volumeMounts"]} <= set(volumes), who
            paths = [mount["mountPath"] for mount in each["volumeMounts"]]
            assert len(paths) == len(set(paths)), who


def test_the_oldest_cluster_gets_what_it_knows() -> None:
    """Kubernetes 1.20 has no gRPC probes, no policy/v1, no autoscaling/v2 and no preStop.sleep."""
    old, new = (render_profile("gpu-large", version=v) for v in ("1.20", NEWEST))
    for rendered, policy, autoscaling in (
        (old, "policy/v1beta1", "autoscaling/v2beta2"),
        (new, "policy/v1", "autoscaling/v2"),
    ):
        budgets = of_kind(rendered, "PodDisruptionBudget")
        scalers = of_kind(rendered, "HorizontalPodAutoscaler")
        assert {each["apiVersion"] for each in budgets.values()} == {policy}
        assert {each["apiVersion"] for each in scalers.values()} == {autoscaling}
        assert len(budgets) == len(scalers) == 6
    for who, pod in pods(old).items():
        for each in pod["containers"]:
            probes = [each[key] for key in each if key.endswith("Probe")]
            assert all("exec" in probe and "grpc" not in probe for probe in probes), who
            if "lifecycle" in each:
                assert each["lifecycle"]["preStop"]["exec"]["command"][0] == "python"
        assert all(
            "matchLabelKeys" not in each for each in pod.get("topologySpreadConstraints", ())
        )
    assert all(
        "unhealthyPodEvictionPolicy" not in each["spec"]
        for each in of_kind(old, "PodDisruptionBudget").values()
    )
    assert pods(new)["Deployment llm"]["containers"][0]["readinessProbe"]["grpc"] == {
        "port": 50052,
        "service": "anima.llm.v1.LlmService",
    }


def test_the_profile_for_many_needs_measured_capacities() -> None:
    with pytest.raises(ChartError, match=r"capacity\.\w+\.streams must say how many a pod serves"):
        render(files=profile("gpu-large"))
