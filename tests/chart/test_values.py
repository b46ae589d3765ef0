"""The values: all are read, none is forgotten, 0 and false count, and typos are refused."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from scripts import gen_chart
from tests.chart.rendering import (
    CAPACITY,
    CHART,
    EVERYTHING,
    PROFILES,
    ChartError,
    Object,
    profile,
    render,
)

TEMPLATES = sorted((CHART / "templates").iterdir())
_READ = re.compile(r"(?:\$root|\.root|\$|)\.Values\.([A-Za-z][\w.]*)|(?:\$w|\.w)\.([a-z][\w.]*)")
_NOT_READ = {"global"}
"""Values of a parent chart."""


def read_by_templates() -> tuple[set[str], set[str]]:
    """Returns the values that the templates name, and those of a workload."""
    found = [
        match for file in TEMPLATES for match in _READ.findall(file.read_text(encoding="utf-8"))
    ]
    chart = {path for path, _ in found if path}
    # The image of the Job and of the test pod is that of no workload.
    return chart - {"defaults", "stages", "gateway", "capacity"}, {own for _, own in found if own}


def schema_paths() -> tuple[set[str], set[str]]:
    """Returns the same as the schema documents them."""
    chart = {".".join(value.path) for value in gen_chart.leaves(gen_chart.schema())}
    workload = {".".join(value.path) for value in gen_chart.workload_values()}
    return chart - {"defaults", "stages", "gateway", "capacity"} - _NOT_READ, workload


def test_every_documented_value_is_read_and_every_read_one_is_documented() -> None:
    chart, workload = read_by_templates()
    documented, of_workloads = schema_paths()
    chart = {path.removeprefix("gateway.") for path in chart if path != "gateway.port"}
    assert chart == documented
    assert workload == of_workloads


def test_the_tables_of_capacity_and_of_secrets_are_read_as_documented() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in TEMPLATES)
    properties = gen_chart.schema()["properties"]["capacity"]["additionalProperties"]["properties"]
    assert set(re.findall(r"\$capacity\.(\w+)", text)) == set(properties)
    of_files = dict(
        value for value in gen_chart.workload_values() if value.path == ("secretFiles",)
    )
    entry = of_files["secretFiles",]["additionalProperties"]["properties"]
    assert set(re.findall(r"\$secret\.(\w+)", text)) == set(entry)


def test_no_template_uses_default() -> None:
    """Sprig's `default` takes 0 and false for missing, and so do `coalesce` and `merge`."""
    for file in TEMPLATES:
        code = " ".join(re.findall(r"\{\{-?(.*?)-?\}\}", file.read_text("utf-8"), re.DOTALL))
        code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
        assert not re.search(r"(?<![.\w])(default|coalesce|merge|mergeOverwrite)\s", code), file


def numbers_and_flags() -> list[tuple[str, ...]]:
    """Returns the paths of all values that may be 0 or false and are not so in `everything`."""
    found = []
    base = {"values": given(), "workload": given()["defaults"]}
    for where, values in (
        ("values", gen_chart.leaves(gen_chart.schema())),
        ("workload", gen_chart.workload_values()),
    ):
        for value in values:
            kind, least = value.schema.get("type"), value.schema.get("minimum")
            if kind == "boolean" or (kind in ("integer", "number") and least == 0):
                path = value.path if where == "values" else ("defaults", *value.path)
                if gen_chart.at(base[where], value.path):
                    found.append(path)
    return found


def given() -> dict[str, Any]:
    """Returns the values of `everything` over the defaults."""
    whole = overlay(gen_chart.defaults(), yaml.safe_load(EVERYTHING.read_text("utf-8")))
    return overlay(whole, CAPACITY)


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(base)
    for key, value in over.items():
        inner = whole.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        whole[key] = overlay(inner, value) if both else value  # type: ignore[arg-type]
    return whole


REFUSED = {
    ("defaults", "enabled"): r"gateway\.enabled is false",
    ("defaults", "autoscaling", "min"): r"autoscaling\.min is 0",
}
"""Values for which the chart has a sentence."""


def without_tokens(rendered: tuple[Object, ...]) -> list[Object]:
    return [each for each in rendered if each["kind"] != "Secret"]


@pytest.mark.parametrize("path", numbers_and_flags(), ids=".".join)
def test_0_and_false_are_values(path: tuple[str, ...]) -> None:
    whole = gen_chart.at(given(), path)
    zero: Any = False if whole is True else 0
    values: Any = zero
    for key in reversed(path):
        values = {key: values}
    values = overlay(CAPACITY, values)
    before = without_tokens(render(CAPACITY, files=(EVERYTHING,)))
    if path in REFUSED:
        with pytest.raises(ChartError, match=REFUSED[path]):
            render(values, files=(EVERYTHING,))
    else:
        assert without_tokens(render(values, files=(EVERYTHING,))) != before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gatway": {}}, "gatway"),
        ({"stages": {"llm": {"replica": 2}}}, "replica"),
        ({"stages": {"llm": {"drain": {"timeout": 2}}}}, "timeout"),
        ({"ingress": {"enable": True}}, "enable"),
        ({"capacity": {"llm": {"streams": 0}}}, "streams"),
        ({"capacity": {"llm": {"stream": 4}}}, "stream"),
        ({"stages": {"llm": {"replicas": "2"}}}, "replicas"),
        ({"stages": {"extra": {"replicas": 2}}}, "module"),
        ({"stages": {"gateway": {}}}, "gateway"),
        ({"defaults": {"scratchSize": "2GB"}}, "scratchSize"),
        ({"models": {"kind": "download"}}, "kind"),
        ({"stages": {"llm": {"settings": {"Engine": "vllm"}}}}, "Engine"),
    ],
    ids=lambda case: json.dumps(case)[:40],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    for helm_3 in (False, True):
        with pytest.raises(ChartError, match=message):
            render(values, helm_3=helm_3)


def test_what_is_passed_on_may_have_any_keys() -> None:
    passed = {
        "nodeSelector": {"x/y": "z"},
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"a": "b"},
    }
    assert render({"stages": {"llm": passed}})


@pytest.mark.parametrize("name", PROFILES)
def test_the_profiles_keep_to_the_schema(name: str) -> None:
    values = gen_chart.defaults()
    for file in profile(name):
        values = overlay(values, yaml.safe_load(file.read_text("utf-8")))
    jsonschema.Draft7Validator(gen_chart.schema()).validate(copy.deepcopy(values))


def test_the_readme_is_generated_from_the_schema() -> None:
    assert gen_chart.PAGE.read_text("utf-8") == gen_chart.page(), "run python -m scripts.gen_chart"


def test_every_value_has_a_default_where_there_can_be_one() -> None:
    values = gen_chart.defaults()
    for value in gen_chart.leaves(gen_chart.schema()):
        if value.path[0] not in _NOT_READ:
            assert gen_chart.at(values, value.path) is not None, value.path
    for value in gen_chart.workload_values():
        needs_own = value.path[0] in ("module", "port", "healthService")
        assert (gen_chart.at(values["defaults"], value.path) is None) is needs_own, value.path
